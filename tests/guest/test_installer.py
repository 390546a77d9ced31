#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian's installer, text and graphical, amd64 and i386, to its first question on the screen.

The pictures in reference/ were made once with QEMU by this program with REMAKE=1 and looked at.
"""
import os
import time

from harness import CACHE, IS_QEMU, Machine, check, main, need, test


def near(one, two):
    return all(abs(a - b) < 9 for a, b in zip(one, two))


def first_screen(arch, kind, marks):
    kernel, initrd = (os.path.join(CACHE, f"installer-{arch}-{kind}.{part}")
                      for part in ("linux", "initrd"))
    need(kernel)
    need(initrd)
    # QEMU's display would describe a monitor, from which Linux takes 1280 x 800.
    same = ("-vga", "none", "-device", "VGA,edid=off") if IS_QEMU else ()
    machine = Machine("-m", "1G", "-kernel", kernel, "-initrd", initrd, "-append", "vga=788 quiet",
                      "-display", "none", "-serial", "null", *same)
    # vga=788 is for the BIOS; later the driver of the Bochs display takes over with 1024 x 768.
    while True:
        check(machine.running(), "the machine ended")
        picture = machine.picture()
        if picture.width == 1024 and all(near(picture.rows[y][x], colour) for x, y, colour in marks):
            break
        time.sleep(2)
    machine.compare(f"installer-{kind}", range(768 // 16), cell_width=8)
    check(machine.quit() == 0, "quit should end the process with 0")


# Pixels that are so when the question is there: the background, and the bar on the language English.
TEXT = ((4, 4, (0, 0, 170)), (400, 371, (170, 0, 0)))
GTK = ((600, 400, (255, 255, 255)), (700, 438, (41, 134, 126)))


@test(90, slow=True, lockstep=True)
def text_amd64():
    first_screen("amd64", "text", TEXT)


@test(90, slow=True, lockstep=True)
def text_i386():
    first_screen("i386", "text", TEXT)


@test(150, slow=True)
def gtk_amd64():
    first_screen("amd64", "gtk", GTK)


@test(150, slow=True)
def gtk_i386():
    first_screen("i386", "gtk", GTK)


if __name__ == "__main__":
    main()
