#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""memtest86+ completes a pass: patterns over all memory, moved code, long string instructions, and
figures of its own about the processor."""
import os

from harness import CACHE, Machine, check, main, need, test


def one_pass(name):
    image = os.path.join(CACHE, name)
    need(image)
    machine = Machine("-m", "8M", "-kernel", image, "-append", "console=ttyS0,115200",
                      "-serial", "stdio", "-display", "none")
    # Its screen, sent as it changes; the rows with the counts are sent whole.
    while True:
        match = machine.expect(r"Pass: +(\d+) +Errors: +(\d+)")
        check(match.group(2) == b"0", f"it found {match.group(2)} errors")
        if match.group(1) != b"0":
            break
    check(machine.quit() == 0, "quit should end the process with 0")


@test(120, slow=True, lockstep=True)
def pass_of_64_bits():
    one_pass("memtest64")


@test(150, slow=True, lockstep=True)
def pass_of_32_bits():
    one_pass("memtest32")


if __name__ == "__main__":
    main()
