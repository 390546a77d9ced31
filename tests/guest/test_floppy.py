#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Floppy disks: a boot disk with a 16-bit program of our own, Linux's driver."""
import hashlib
import os
import subprocess

from harness import CACHE, INITRAMFS, IS_QEMU, VMLINUZ, Machine, assemble, check, main, need, test, workspace

FLOPPY_KO = os.path.join(CACHE, "floppy.ko")


def boot(*options):
    """asm/floppy.asm: BIOS calls, unreal mode, virtual-8086 mode."""
    image = assemble("floppy")
    machine = Machine(*options, "-drive", f"if=floppy,format=raw,file={image}", "-m", "32M", "-display", "none", "-serial", "null",
                      "-debugcon", "stdio", "-device", "isa-debug-exit,iobase=0xf4")
    machine.expect("<loaded>")  # among what the BIOS says at a port of its own
    machine.expect("<screen><disk><memory><clock>")
    machine.hmp("sendkey q")
    machine.expect("q<key>.*<unreal>")
    machine.expect("civo<v86>")
    check(machine.wait() == 5, f"status {machine.wait()}")
    with open(image, "rb") as file:
        file.seek(-512, os.SEEK_END)
        check(file.read() == b"\xef\xbe" * 256, "the last sector should have been written")


@test(5)
def boot_disk():
    boot()


@test(5)
def on_486_and_pentium():
    """Processors for which Debian has no kernel."""
    boot("-cpu", "486")
    boot("-cpu", "pentium")


def with_module():
    """The initramfs with Linux's driver in it: archives one behind the other are one."""
    need(FLOPPY_KO)
    module = subprocess.run(["cpio", "-o", "-H", "newc", "--quiet"], input=b"floppy.ko\n", check=True,
                            cwd=os.path.dirname(FLOPPY_KO), stdout=subprocess.PIPE).stdout
    with open(INITRAMFS, "rb") as file:
        base = file.read()
    both = os.path.join(workspace(), "initramfs")
    with open(both, "wb") as file:
        file.write(base + bytes(-len(base) % 512) + module)
    return both


@test(25)
def linux_driver():
    """Linux's driver takes the chip for what it is, finds the medium's format, reads and writes."""
    need(VMLINUZ)
    need(INITRAMFS)
    image = os.path.join(workspace(), "disk")
    content = b"".join(b"%511d\n" % sector for sector in range(2880))
    with open(image, "wb") as file:
        file.write(content)
    machine = Machine("-nographic", "-m", "256M", "-kernel", VMLINUZ, "-initrd", with_module(),
                      "-append", "console=ttyS0", "-drive", f"if=floppy,format=raw,file={image}",
                      tty=True)
    machine.expect("# ")
    check(machine.command_output("grep -q 'dma 2' /sys/bus/pnp/devices/*/resources") == 0,
          "ACPI should tell of DMA channel 2")
    machine.line("insmod /floppy.ko")
    machine.expect("Floppy drive.*fd0 is 1.44M")
    machine.expect("FDC 0 is a post-1991 82077" if not IS_QEMU else "FDC 0 is a S82078B")
    total = hashlib.md5(content).hexdigest()
    check(machine.command_output(f"md5sum /dev/fd0 | grep {total}") == 0, "all of the disk")
    check(machine.command_output("yes trapeze | dd of=/dev/fd0 bs=8 seek=4000 count=3000 && sync")
          == 0, "writing")
    machine.line("poweroff")
    check(machine.wait() == 0, "poweroff should end the process with 0")
    content = content[:32000] + b"trapeze\n" * 3000 + content[56000:]
    with open(image, "rb") as file:
        check(file.read() == content, "what was written, and nothing else")


if __name__ == "__main__":
    main()
