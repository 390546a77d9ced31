#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""-kernel with the formats beside bzImage, whose tests are in test_linux.py."""
import os

from harness import INITRAMFS, Machine, assemble, check, main, need, test, unpacked_kernel, workspace


@test(25, lockstep=True)
def pvh():
    """An uncompressed Linux kernel by its PVH entry, with initrd and command line."""
    need(INITRAMFS)
    machine = Machine("-nographic", "-m", "512M", "-kernel", unpacked_kernel(), "-initrd", INITRAMFS,
                      "-append", "console=ttyS0 by.pvh=1", tty=True)
    machine.expect("Debian's kernel with a busybox shell")
    machine.expect("# ")
    check(machine.command_output("grep -qw by.pvh=1 /proc/cmdline") == 0, "the command line")
    machine.line("poweroff")
    check(machine.wait() == 0, "poweroff should end the process with 0")


@test(3)
def multiboot():
    """A multiboot 1 image gets its registers, memory, command line and two modules."""
    kernel = assemble("multiboot")
    first, second = (os.path.join(workspace(), name) for name in ("first", "second"))
    for path, text in ((first, "one"), (second, "two " * 2000)):
        with open(path, "w") as file:
            file.write(text)
    machine = Machine("-display", "none", "-serial", "null", "-debugcon", "stdio", "-m", "64M",
                      "-kernel", kernel, "-initrd", f"{first} with words,{second}",
                      "-append", "told=this", "-device", "isa-debug-exit,iobase=0xf4")
    machine.expect(r"<\S+ told=this\|\S+first with words=one\|\S+second=(two ){2000}>")
    check(machine.wait() == 1, f"status {machine.wait()}")


if __name__ == "__main__":
    main()
