#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""-cpu: systems that suit each of the models start on it, and Linux finds what the model promises.

The kernels are Debian's, unpacked beforehand and started by their PVH entry: unpacking is most of a
boot and the same on every model.
"""
import os

from harness import (CACHE, INITRAMFS, IS_QEMU, VMLINUZ, Machine, Skip, assemble, check, main, need,
                     test, unpacked_kernel)

VMLINUZ_I386, INITRAMFS_I386 = (os.path.join(CACHE, name) for name in ("vmlinuz-i386", "initramfs-i386"))
GRUB_ISO = "/usr/lib/grub-rescue/grub-rescue-cdrom.iso"


def shell(model, kernel, initramfs):
    need(initramfs)
    machine = Machine("-nographic", "-m", "256M", "-cpu", model, "-kernel", unpacked_kernel(kernel),
                      "-initrd", initramfs, "-append", "console=ttyS0", tty=True)
    machine.expect("Debian's kernel with a busybox shell")
    machine.expect("# ")
    return machine


def holds(machine, command):
    return machine.command_output(f"{command} >/dev/null") == 0


def linux(model, kernel, initramfs, present, absent, name=None):
    """Linux on this model, with flags of /proc/cpuinfo that must be there and that must not."""
    machine = shell(model, kernel, initramfs)
    for flag in present.split():
        check(holds(machine, f"grep -w '^flags.* {flag}' /proc/cpuinfo"), f"{model}: Linux finds no {flag}")
    for flag in absent.split():
        check(not holds(machine, f"grep -w '^flags.* {flag}' /proc/cpuinfo"), f"{model}: Linux finds {flag}")
    if name:
        check(holds(machine, f"grep '^model name.*{name}' /proc/cpuinfo"), f"{model}: its name is not {name}")
    check(not holds(machine, "dmesg | grep -E 'Oops|BUG:|unchecked MSR|general protection|FPU.*not'"),
          f"{model}: Linux complains")
    if not IS_QEMU:
        clock = "grep -x kvm-clock /sys/devices/system/clocksource/clocksource0/available_clocksource"
        check(holds(machine, f"{clock} || dmesg | grep 'kvm-clock: Using msrs'"), f"{model}: no kvmclock")
    machine.line("poweroff")
    check(machine.wait() == 0, "poweroff should end the process with 0")


def i386(model, present, absent, name=None):
    linux(model, VMLINUZ_I386, INITRAMFS_I386, present, absent, name)


def amd64(model, present, absent, name=None):
    linux(model, VMLINUZ, INITRAMFS, present, absent, name)


@test(15)
def kvmclock():
    """Linux takes its time from kvmclock, unless there is no KVM to be seen."""
    if IS_QEMU:
        raise Skip("QEMU's TCG has no kvmclock")
    current = "/sys/devices/system/clocksource/clocksource0/current_clocksource"
    machine = shell("qemu64", VMLINUZ, INITRAMFS)
    check(holds(machine, "dmesg | grep 'Hypervisor detected: KVM'"), "the hypervisor")
    check(holds(machine, "dmesg | grep 'kvm-clock: Using msrs 4b564d01 and 4b564d00'"), "its registers")
    check(holds(machine, f"grep -x kvm-clock {current}"), "the clock in use")
    # Uptime by it goes on, and as fast as the clock of the board does.
    check(holds(machine, "a=$(cut -d. -f1 /proc/uptime); sleep 2; b=$(cut -d. -f1 /proc/uptime); test $((b - a)) -ge 2"),
          "uptime stands still")
    machine.line("poweroff")
    check(machine.wait() == 0, "poweroff should end the process with 0")
    machine = shell("qemu64,kvm=off", VMLINUZ, INITRAMFS)
    check(not holds(machine, "dmesg | grep -E 'kvm-clock|Hypervisor detected: KVM'"), "kvm=off")
    machine.line("poweroff")
    check(machine.wait() == 0, "poweroff should end the process with 0")


@test(10)
def pentium3():
    i386("pentium3", "fpu vme sep cmov fxsr sse", "sse2 lm nx syscall")


@test(10, slow=True)
def pentium2():
    i386("pentium2", "fpu vme sep cmov fxsr mmx pae", "sse lm nx")


@test(10, slow=True)
def qemu32():
    i386("qemu32", "sse2 pni pae", "lm nx vme syscall")


@test(10, slow=True)
def kvm32():
    i386("kvm32", "sse2 pni clflush vme", "lm nx", "Common 32-bit KVM processor")


@test(10, slow=True)
def athlon():
    i386("athlon", "sse2 mmxext", "lm pni clflush")


@test(10, slow=True)
def coreduo():
    i386("coreduo", "sse2 pni nx", "lm ssse3", "Genuine Intel(R) CPU")


@test(10, slow=True)
def n270():
    i386("n270", "ssse3 movbe", "lm sse4_1", "Atom")


@test(20, slow=True)
def core2duo():
    """Both kernels: the first of Intel's line here with long mode."""
    i386("core2duo", "ssse3 lm nx", "sse4_1 popcnt", "Core(TM)2 Duo")
    amd64("core2duo", "ssse3 lm nx cx16", "sse4_1 popcnt", "Core(TM)2 Duo")


@test(10, slow=True)
def qemu64():
    amd64("qemu64", "sse2 pni cx16 lahf_lm", "ssse3 avx svm")


@test(10, slow=True)
def kvm64():
    amd64("kvm64", "sse2 pni cx16", "ssse3 lahf_lm", "Common KVM processor")


@test(10, slow=True)
def phenom():
    amd64("phenom", "popcnt abm", "ssse3", "Phenom")


@test(10, slow=True)
def nehalem():
    amd64("Nehalem", "sse4_2 popcnt", "aes avx xsave", "Core i7 9xx")


@test(10, slow=True)
def haswell():
    amd64("Haswell", "avx2 fma bmi2 pcid smep", "smap adx avx512f", "Haswell")


@test(10, slow=True)
def skylake_server():
    amd64("Skylake-Server", "smap adx clwb", "umip sha_ni", "Skylake")


@test(10, slow=True)
def opteron():
    amd64("Opteron_G5", "fma f16c", "avx2", "Opteron 63xx")


@test(10, slow=True)
def epyc():
    amd64("EPYC", "avx2 sha_ni smap fsgsbase", "pcid avx512f", "AMD EPYC Processor")


@test(10, slow=True)
def dhyana():
    amd64("Dhyana", "avx2 smap", "sha_ni aes", "Hygon")


@test(10, slow=True)
def levels():
    """x86-64-v1 to v4."""
    amd64("x86-64-v1", "sse2 lm", "pni ssse3 cx16 lahf_lm")
    amd64("x86-64-v2", "sse4_2 cx16 popcnt lahf_lm", "xsave avx movbe")
    amd64("x86-64-v3", "avx2 fma bmi1 bmi2 movbe abm", "avx512f aes")
    amd64("x86-64-v4", "avx512f avx512bw avx512vl", "aes avx512vbmi")


@test(20, slow=True)
def the_hosts():
    amd64("max", "avx2 lm", "vmx")
    amd64("host", "lm", "vmx")


def before_the_p6(model):
    """No kernel of Debian's is that old: the BIOS and a program of 16 bits, from a floppy disk."""
    image = assemble("floppy")
    machine = Machine("-cpu", model, "-drive", f"if=floppy,format=raw,file={image}", "-m", "32M", "-display",
                      "none", "-serial", "null", "-debugcon", "stdio", "-device", "isa-debug-exit,iobase=0xf4")
    machine.expect("<loaded>")
    machine.expect("<screen><disk><memory><clock>")
    machine.hmp("sendkey q")
    machine.expect("<unreal>")
    machine.expect("<v86>")
    check(machine.wait() == 5, f"{model}: status {machine.wait()}")


@test(5)
def i486():
    before_the_p6("486")


@test(5)
def pentium():
    before_the_p6("pentium")


@test(30, slow=True)
def grub_on_486():
    """GRUB, whose code is for the 386, from the CD with its menu on the screen."""
    if not os.path.exists(GRUB_ISO):
        raise Skip(f"{GRUB_ISO} is missing (package grub-rescue-pc)")
    machine = Machine("-cpu", "486", "-m", "64M", "-cdrom", GRUB_ISO, "-display", "none", "-serial", "null")
    while not grub_menu(machine.picture()):
        check(machine.running(), "the machine ended")
    check(machine.quit() == 0, "quit should end the process with 0")


def grub_menu(picture):
    """The frame of the menu, and the help below it."""
    return picture.width == 720 and picture.lit(9, 17 * 16, 9, 16) and picture.lit(60, 19 * 16, 500, 16)


if __name__ == "__main__":
    main()
