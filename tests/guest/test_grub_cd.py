#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The GRUB rescue CD on the VGA screen: seen as a picture, driven by the keyboard.

The pictures in reference/ were made once by this program with REMAKE=1 and looked at.
"""
from harness import check, grub_menu, main, test


@test(40)
def menu_and_keyboard():
    """The menu is drawn as it should be; keys move in it; what is typed appears."""
    machine = grub_menu("-m", "256M")
    machine.hmp("sendkey end")
    machine.compare("grub-menu-end", range(2, 25))
    machine.hmp("sendkey c")
    machine.type("echo Trapeze reads 3 keys.\n")
    machine.compare("grub-typed", range(2, 25))
    check(machine.quit() == 0, "quit should end the process with 0")


if __name__ == "__main__":
    main()
