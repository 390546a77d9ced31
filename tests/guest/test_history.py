#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Systems of other times and kinds than the Linux of test_linux.py, as Debian packages them.

None of them was written with Trapeze in mind: each uses a corner of the processor that the others
leave alone.
"""
import os
import re

from harness import CACHE, INITRAMFS, VMLINUZ, Machine, check, main, need, test

VMLINUZ_I386, INITRAMFS_I386, XEN, IPXE = (
    os.path.join(CACHE, name) for name in ("vmlinuz-i386", "initramfs-i386", "xen", "ipxe.lkrn"))


def i386_shell(*options):
    """Debian's 686-pae kernel with a shell of 32 bits; returns it at its prompt."""
    need(VMLINUZ_I386)
    need(INITRAMFS_I386)
    machine = Machine("-nographic", "-m", "256M", *options, "-kernel", VMLINUZ_I386,
                      "-initrd", INITRAMFS_I386, "-append", "console=ttyS0", tty=True)
    machine.expect("Debian's kernel with a busybox shell")
    machine.expect("# ")
    return machine


def power_off(machine):
    machine.line("poweroff")
    check(machine.wait() == 0, "poweroff should end the process with 0")


@test(30, lockstep=True)
def i386_kernel():
    """32-bit Linux with PAE on a processor of 64 bits."""
    machine = i386_shell()
    check(machine.command_output("uname -m | grep -x i686") == 0, "uname -m")
    # What a program gets for a wild pointer: the kernel's page fault handler in 32 bits.
    check(machine.command_output("sh -c 'kill -SEGV $$'") == 139, "a shell that ends by SIGSEGV")
    power_off(machine)


@test(30)
def i386_kernel_on_32_bits():
    """The same where the processor has no long mode, hence no SYSCALL either."""
    machine = i386_shell("-cpu", "qemu32")
    check(machine.command_output("grep -qw lm /proc/cpuinfo") == 1, "there should be no lm")
    power_off(machine)


@test(60)
def xen():
    """The hypervisor Xen with Debian's kernel as its paravirtual dom0, in ring 3, to a shell."""
    for path in (XEN, VMLINUZ, INITRAMFS):
        need(path)
    machine = Machine("-nographic", "-m", "1G", "-kernel", XEN, "-append",
                      "console=com1 com1=115200,8n1 loglvl=all noreboot",
                      "-initrd", f"{VMLINUZ} console=hvc0,{INITRAMFS}", tty=True)
    machine.expect(r"Building a PV Dom0")
    machine.expect("Debian's kernel with a busybox shell")
    machine.expect("# ")
    check(machine.command_output("grep -x xen /sys/hypervisor/type") == 0, "a guest of Xen")
    power_off(machine)


def type_at_bios(machine, text):
    """The BIOS keeps 15 keys and drops what comes too early: each waits for the echo of the last."""
    for character in text:
        machine.send(character)
        if character != "\r":
            machine.expect(re.escape(character))


@test(10)
def ipxe():
    """iPXE starts by its own loader from 16-bit code, takes commands, and goes back to the BIOS."""
    need(IPXE)
    machine = Machine("-nographic", "-m", "64M", "-kernel", IPXE, "-append", "shell", tty=True)
    machine.expect("Open Source Network Boot Firmware")
    machine.expect("iPXE>")
    type_at_bios(machine, "cpuid --ext 29 && echo long''mode || echo short\r")
    machine.expect("long''mode")
    machine.expect("iPXE>")
    type_at_bios(machine, "exit\r")
    machine.expect("No bootable device")
    check(machine.quit() == 0, "quit should end the process with 0")


if __name__ == "__main__":
    main()
