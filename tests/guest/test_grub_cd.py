#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The GRUB rescue CD on the VGA screen: seen as a picture, driven by the keyboard.

The pictures in reference/ were made once by this program with REMAKE=1 and looked at.
"""
import os
import time

from harness import Machine, Skip, check, main, test

ISO = "/usr/lib/grub-rescue/grub-rescue-cdrom.iso"


@test(40)
def menu_and_keyboard():
    """The menu is drawn as it should be; keys move in it; what is typed appears."""
    if not os.path.exists(ISO):
        raise Skip(f"{ISO} is missing (package grub-rescue-pc)")
    machine = Machine("-m", "256M", "-cdrom", ISO, "-display", "none", "-serial", "null")
    # The menu's frame and the help below it. The machine would leave the menu by itself after 30 s:
    # a key stops that.
    while True:
        check(machine.running(), "the machine ended")
        picture = machine.picture()
        if picture.width == 720 and picture.lit(9, 17 * 16, 9, 16) and \
                picture.lit(60, 19 * 16, 500, 16):
            break
        time.sleep(1)
    machine.hmp("sendkey down")
    # Row 1 has GRUB's version, which is Debian's to change.
    machine.compare("grub-menu", range(2, 25))
    machine.hmp("sendkey end")
    machine.compare("grub-menu-end", range(2, 25))
    machine.hmp("sendkey c")
    machine.type("echo Trapeze reads 3 keys.\n")
    machine.compare("grub-typed", range(2, 25))
    check(machine.quit() == 0, "quit should end the process with 0")


if __name__ == "__main__":
    main()
