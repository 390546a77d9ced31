#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What shows how a guest's code is translated: -d in_asm,out_asm,profile, -perfmap, -jitdump. SeaBIOS is the guest."""
import os
import re
import struct

from harness import Machine, assemble, check, main, run, test, workspace

QUIET = ("-display", "none", "-serial", "null", "-device", "isa-debug-exit")


def bios(*arguments):
    """SeaBIOS and a boot sector that ends the process."""
    status, _, errors = run(*QUIET, "-accel", "dbt", "-drive", f"file={assemble('keeps_running')},format=raw", *arguments,
                            cwd=workspace())
    check(status == 15, f"status {status}: {errors}")
    return errors


@test(5, engine=False)
def listings():
    """Guest instructions, and what they become below each of them."""
    path = os.path.join(workspace(), "log")
    bios("-d", "in_asm,out_asm", "-D", path)
    with open(path) as file:
        text = file.read()
    check(len(re.findall(r"^IN:$", text, re.M)) == len(re.findall(r"^OUT: \[size=\d+\]$", text, re.M)) > 20, "blocks")
    guest = re.findall(r"^(0x[0-9a-f]{8}:  (?:[0-9a-f]{2} )+ +\w+.*)$", text, re.M)
    check(len(guest) > 200, f"{len(guest)} instructions")
    below = re.findall(r"^  -- guest (0x[0-9a-f]{8}: .*\w)$", text, re.M)
    check(len(below) > 100 and set(below) <= set(guest), "guest instructions beside the host's are others")
    check("-- what is seldom run" in text and "-- interpret, guest" in text, "no cold code")


@test(5, engine=False)
def profile():
    """info jit: the share of instructions interpreted, and the blocks that run most."""
    machine = Machine(*QUIET, "-accel", "dbt", "-d", "profile", "-debugcon", "stdio")
    machine.expect("No bootable device")
    said = machine.hmp("info jit")
    translated = re.search(r"instructions translated code ran +(\d+)", said)
    interpreted = re.search(r"instructions interpreted +(\d+)", said)
    share = re.search(r"of all, per cent +([\d.]+)", said)
    check(translated and interpreted and share, said)
    a, b = int(translated.group(1)), int(interpreted.group(1))
    check(a > 10000 and b > 10000 and abs(100 * b / (a + b) - float(share.group(1))) < 0.01, said)
    blocks = [float(text) for text in re.findall(r"^ +([\d.]+)  [0-9a-f]{16}  [0-9a-f]{9}  \d+$", said, re.M)]
    check(len(blocks) == 20 and blocks == sorted(blocks, reverse=True) and sum(blocks) <= 100, said)
    check("hottest" not in Machine(*QUIET, "-accel", "dbt", "-S").hmp("info jit"), "a profile nobody asked for")


@test(5, engine=False)
def names_for_perf():
    """Each line of the map names a piece of code; the dump has the same pieces with their bytes."""
    machine = Machine(*QUIET, "-accel", "dbt", "-perfmap", "-jitdump", "-drive",
                      f"file={assemble('keeps_running')},format=raw", cwd=workspace())
    check(machine.wait() == 15, f"status {machine.wait()}")
    pid = machine.process.pid
    map_path = f"/tmp/perf-{pid}.map"
    with open(map_path) as file:
        lines = [line.split() for line in file]
    os.unlink(map_path)
    named = [(int(start, 16), int(size, 16), name) for start, size, name in lines]
    check(len(named) > 20 and named[0][2] == "translator-thunks", f"{named[:3]}")
    check(all(re.fullmatch(r"guest-[0-9a-f]+(-cold)?", name) for _, _, name in named[1:]), "names")
    with open(os.path.join(workspace(), f"jit-{pid}.dump"), "rb") as file:
        data = file.read()
    magic, version, at, machine_of, _, owner = struct.unpack_from("<6I", data)
    check((magic, version, machine_of, owner) == (0x4A695444, 1, 62, pid), "the header")
    dumped = []
    while at < len(data):
        kind, size, _, owner, _, vma, address, length, index = struct.unpack_from("<IIQIIQQQQ", data, at)
        name, code = data[at + 56:at + size].split(b"\0", 1)
        check(kind == 0 and owner == pid and vma == address and len(code) == length and index == len(dumped), "an entry")
        dumped.append((address, length, name.decode()))
        at += size
    check(at == len(data) and dumped == named, "map and dump differ")


@test(2, engine=False)
def nothing_to_name():
    """Under the interpreter there are no translations: it says so, and runs."""
    status, _, errors = run(*QUIET, "-accel", "interp", "-perfmap", "-drive",
                            f"file={assemble('keeps_running')},format=raw")
    check(status == 15 and "interp translates nothing" in errors and len(errors.splitlines()) == 1, errors)


if __name__ == "__main__":
    main()
