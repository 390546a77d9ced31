#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Rewrites gcc's assembly so that every memory operand goes through a linear shadow map (stdin to stdout).

usage: rewrite.py each|reuse pext|rorx|shrx

each: a look-up for each access. reuse: one for consecutive accesses off the same unchanged base register within a
basic block. pext, rorx, shrx: how the page's number is made of the address. push, pop, call and ret count as accesses.

The map is all zero, so the programs run unchanged and only the cost of the look-ups shows. Needs -ffixed-r13
-ffixed-r14 -ffixed-r15. Operands with a high-byte register are left alone: their encoding allows none of r8 to r15.
"""
import re
import sys

MASK, ADDRESS, DELTA = "%r13", "%r14", "%r15"
INDEX = {"pext": [f"\tpext {MASK}, {ADDRESS}, {DELTA}"],
         "rorx": [f"\trorx $12, {ADDRESS}, {DELTA}", "\tmov %r15d, %r15d"],
         "shrx": [f"\tshrx {MASK}, {ADDRESS}, {DELTA}"]}
SET_MASK = {"pext": f"\tmovabs $0xfffffffff000, {MASK}", "rorx": "", "shrx": f"\tmov $12, {MASK}"}
STACK = ("push", "pushq", "pop", "popq", "call", "ret")
NO_ACCESS = ("lea", "nop", "prefetch", "rep", "movs", "stos")
MOVSS = ("movss", "movsd", "movslq", "movsbl", "movswl", "movsbq", "movswq", "movsbw", "movshdup", "movsldup")
OPERAND = re.compile(r"(?:[-+\w.$]+)?\((?:%\w+)?(?:,%\w+(?:,\d)?)?\)")
HIGH_BYTE = re.compile(r"%[abcd]h\b")
WRITES_RAX_RDX = ("xchg", "div", "idiv", "mul", "imul", "cqto", "cltq", "cltd")


def whole(register):
    """The 64-bit register that a register is part of."""
    name = register.strip("%")
    if re.fullmatch(r"r\d+[dwb]?", name):
        return name.rstrip("dwb")
    letters = name.lstrip("re").rstrip("lhx") if name[-1] in "lhx" else name.lstrip("re")
    return "r" + letters + ("x" if letters in ("a", "b", "c", "d") else "")


class Rewriter:
    def __init__(self, reuse, index):
        self.reuse = reuse
        self.index = index
        self.out = []
        self.known = None  # the base register whose page's delta is in DELTA
        self.accesses = self.lookups = 0

    def look_up(self, operand):
        self.lookups += 1
        self.out += [f"\tlea {operand}, {ADDRESS}", *INDEX[self.index], f"\tmov %gs:(,{DELTA},8), {DELTA}"]

    def access(self, line, operand):
        """A line with its memory operand going through the map."""
        self.accesses += 1
        displacement, inner = operand.rstrip(")").split("(")
        base, *rest = inner.split(",")
        if self.reuse and base and base != "%rip" and not rest:
            if self.known != whole(base):
                self.look_up(operand)
                self.known = whole(base)
            self.out.append(line.replace(operand, f"{displacement}({base},{DELTA})"))
        else:
            self.look_up(operand)
            self.known = None
            self.out.append(line.replace(operand, f"({ADDRESS},{DELTA})"))

    def forget(self, name, operands):
        """Whether DELTA still holds for the known base behind an instruction."""
        target = operands[-1] if operands else ""
        by_constant = re.fullmatch(r"(add|sub)q?", name) and operands[0].startswith("$")
        if target.startswith("%") and whole(target) == self.known and not by_constant and \
                not name.startswith(("cmp", "test")):
            self.known = None
        if name in ("call", "ret") or (name in WRITES_RAX_RDX and self.known in ("rax", "rdx")):
            self.known = None

    def instruction(self, line):
        name, _, arguments = line.strip().partition("\t")
        if not arguments and " " in name:
            name, arguments = name.split(" ", 1)
        operand = None if HIGH_BYTE.search(arguments) else OPERAND.search(arguments)
        if name in STACK and not operand:
            self.accesses += 1
            if not (self.reuse and self.known == "rsp"):
                self.look_up("-8(%rsp)")
                self.known = "rsp"
            self.out.append(line)
        elif operand and (name in MOVSS or not name.startswith(NO_ACCESS)):
            self.access(line, operand.group())
        else:
            self.out.append(line)
        self.forget(name, [part.strip() for part in re.split(r",(?![^(]*\))", arguments)] if arguments else [])

    def rewrite(self, lines):
        function = None
        for line in lines:
            line = line.rstrip("\n")
            label = re.match(r"([\w.]+):", line)
            kind = re.match(r"\s+\.type\s+(\S+), @function", line)
            function = kind.group(1) if kind else function
            if label:
                self.known = None
                self.out.append(line)
                if label.group(1) == function:
                    self.out.append(SET_MASK[self.index])
            elif not line.strip() or line.strip()[0] in ".#":
                self.out.append(line)
            else:
                self.instruction(line)
        return "\n".join(self.out) + "\n"


def main():
    if len(sys.argv) != 3 or sys.argv[1] not in ("each", "reuse") or sys.argv[2] not in INDEX:
        sys.exit(__doc__)
    rewriter = Rewriter(sys.argv[1] == "reuse", sys.argv[2])
    sys.stdout.write(rewriter.rewrite(sys.stdin))
    print(f"{rewriter.accesses} accesses, {rewriter.lookups} look-ups", file=sys.stderr)


if __name__ == "__main__":
    main()
