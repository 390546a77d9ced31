#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""-cpu: what a guest finds by CPUID under each model, word by word against QEMU's own answers."""
import re
import shutil
import subprocess

from harness import IS_QEMU, Machine, Skip, assemble, check, main, run, test

QEMU = "qemu-system-x86_64"
NOTHING = ("-display", "none", "-serial", "null", "-nodefaults")

# Where messages say a feature is: leaf, subleaf, register.
WORDS = {
    "CPUID.01H:EDX": (1, 0, 3), "CPUID.01H:ECX": (1, 0, 2),
    "CPUID.07H:EBX": (7, 0, 1), "CPUID.07H:ECX": (7, 0, 2), "CPUID.07H:EDX": (7, 0, 3),
    "CPUID.07H:EAX": (7, 1, 0), "CPUID.06H:EAX": (6, 0, 0), "CPUID.0DH:EAX": (13, 1, 0),
    "CPUID.80000001H:EDX": (0x80000001, 0, 3), "CPUID.80000001H:ECX": (0x80000001, 0, 2),
    "CPUID.80000007H:EDX": (0x80000007, 0, 3), "CPUID.80000008H:EBX": (0x80000008, 0, 1),
}

# Leaves that must be the same to the bit, but for features.
SAME = [(0, 0), (2, 0), *((4, n) for n in range(10)), (5, 0), (6, 0), *((0xb, n) for n in range(3)),
        *((0x80000000 + n, 0) for n in range(9)), *((0x8000001d, n) for n in range(5)), (1, 0)]

# TCG leaves out VME, which we have; we leave out, without a word, what KVM does: ACPI's thermal
# registers, MONITOR, SVM.
UNASKED = {(1, 0, 3): 1 << 1 | 1 << 22, (1, 0, 2): 1 << 3, (0x80000001, 0, 2): 1 << 2,
           (0x80000001, 0, 3): 1 << 1}


def cpuid(program, model, image):
    """({(leaf, subleaf): [eax, ebx, ecx, edx]}, {(leaf, subleaf, register): bits that a warning names})"""
    machine = Machine(*NOTHING, "-debugcon", "stdio", "-cpu", model, "-drive",
                      f"file={image},format=raw", "-device", "isa-debug-exit,iobase=0xf4",
                      monitor=False, program=program)
    machine.wait()
    output, errors = machine.output.decode(errors="replace"), machine.errors.decode()
    check("<end>" in output, f"{program} -cpu {model} did not come to the end: {errors}")
    leaves = {}
    for line in output.splitlines():
        if re.fullmatch(r"([0-9A-F]{8} ){6}", line):
            leaf, subleaf, *registers = (int(word, 16) for word in line.split())
            leaves[leaf, subleaf] = registers
    warned = {}
    for where, bit in re.findall(r"requested feature: (\S+)\.\S+ \[bit (\d+)\]", errors):
        if where in WORDS:
            warned[WORDS[where]] = warned.get(WORDS[where], 0) | 1 << int(bit)
    return leaves, warned


def compare(model, image):
    """What differs, as lines."""
    ours, our_warnings = cpuid(None, model, image)
    theirs, their_warnings = cpuid(QEMU, model, image)
    wrong = []
    for leaf, subleaf in SAME:
        if theirs[0, 0][0] < leaf < 0x80000000 or leaf > theirs[0x80000000, 0][0] >= 0x80000000:
            continue
        if theirs[0x80000000, 0][0] < 0x80000000 <= leaf:
            continue  # QEMU answers with another leaf, as Intel's do
        if 0x80000002 <= leaf <= 0x80000004 and b"QEMU" in b"".join(
                r.to_bytes(4, "little") for r in theirs[0x80000002, 0]):
            continue
        for register in range(4):
            place = (leaf, subleaf, register)
            if place in WORDS.values():
                continue
            a, b = ours[leaf, subleaf][register], theirs[leaf, subleaf][register]
            if place == (0x80000008, 0, 0) and our_warnings.get((7, 0, 2), 0) & 1 << 16:
                b = b & ~0xff00 | 48 << 8  # no LA57, no 57 bits of address
            if a != b:
                wrong.append(f"{model}: {leaf:x}.{subleaf} register {register} is {a:08x}, QEMU's {b:08x}")
    for name, place in WORDS.items():
        leaf, subleaf, register = place
        zero = [0] * 4
        a = ours.get((leaf, subleaf), zero)[register] | our_warnings.get(place, 0)
        b = theirs.get((leaf, subleaf), zero)[register] | their_warnings.get(place, 0)
        if theirs[0x80000000, 0][0] < 0x80000000 <= leaf:
            b = 0
        if (a ^ b) & ~UNASKED.get(place, 0):
            wrong.append(f"{model}: {name} asks for {a:08x}, QEMU's for {b:08x}")
    return wrong


def names(program):
    """The models of `-cpu help` that are the same on every host."""
    if program == QEMU:
        text = subprocess.run([QEMU, "-cpu", "help"], capture_output=True, text=True, check=True).stdout
    else:
        text = run("-cpu", "help")[1]
    found = re.findall(r"^x86 (\S+)", text, re.MULTILINE)
    return [n for n in found if n not in ("base", "host", "max") and not n.startswith("x86-64")]


def need_qemu():
    if IS_QEMU:
        raise Skip("this compares our models with QEMU's; the program under test is QEMU")
    if not shutil.which(QEMU):
        raise Skip(f"{QEMU} is not installed, whose answers are compared (apt install qemu-system-x86)")
    version = run_version()
    if not version.startswith("7."):
        raise Skip(f"the models are those of QEMU 7.2; this is {version}")


def run_version():
    text = subprocess.run([QEMU, "--version"], capture_output=True, text=True, check=True).stdout
    return re.search(r"version (\S+)", text).group(1)


@test(60, engine=False)
def words_as_qemu():
    """Every model: who it says it is, its caches, and the features it asks for."""
    need_qemu()
    check(names(None) == names(QEMU), "-cpu help does not list the same models")
    image = assemble("cpuid")
    wrong = []
    for model in names(QEMU):
        if re.search(r"-v\d+$", model):
            wrong += compare(model, image)
    check(not wrong, "\n".join(wrong))


@test(5, engine=False)
def options_as_qemu():
    """Features by hand: the order of items, second names, levels that rise."""
    need_qemu()
    image = assemble("cpuid")
    wrong = []
    for spec in ("qemu64,-sse3,+avx,+xsave", "Nehalem,+smep,sse4_2=off", "486,+tsc,family=5,model=2",
                 "core2duo,-lahf_lm,+popcnt,level=7", "qemu64,+abm,-abm", "qemu64,-abm,+abm",
                 "pentium3,vendor=AuthenticAMD", "EPYC,xlevel=0x80000008,model-id=Something else"):
        wrong += compare(spec, image)
    check(not wrong, "\n".join(wrong))


@test(1, engine=False)
def enforce_and_check():
    """enforce refuses what check only warns of; check=off is silent."""
    def errors(spec):
        status, _, text = run(*NOTHING, "-cpu", spec, "-device", "isa-debug-exit,iobase=0xf4",
                              "-debugcon", "stdio", "-drive", f"file={image},format=raw")
        return status, text
    image = assemble("cpuid")
    status, text = errors("qemu64,+sgx")
    check(re.search(r"warning: .* doesn't support requested feature: CPUID.07H:EBX.sgx \[bit 2\]", text),
          f"no warning: {text}")
    check(status != 2, "a warning ended it")
    status, text = errors("qemu64,+sgx,check=off")
    check("sgx" not in text, f"a warning in spite of check=off: {text}")
    status, text = errors("qemu64,+sgx,svm=off,enforce")
    check(status in (1, 2) and "feature" in text, f"enforce did not refuse: {text}")


if __name__ == "__main__":
    main()
