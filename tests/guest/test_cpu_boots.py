#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""-cpu: systems that suit each of the models start on it, and Linux finds what the model promises.

The kernels are Debian's, unpacked beforehand and started by their PVH entry: unpacking is most of a
boot and the same on every model.
"""
import os

from harness import (CACHE, INITRAMFS, IS_QEMU, VMLINUZ, Machine, Skip, check, grub_menu, main, need, test,
                     unpacked_kernel)

VMLINUZ_I386, INITRAMFS_I386 = (os.path.join(CACHE, name) for name in ("vmlinuz-i386", "initramfs-i386"))


# Flags of instructions that run on the host's vector unit.
HOSTS_UNIT = "ssse3 sse4_1 sse4_2 aes sha_ni avx avx2 fma f16c avx512f avx512bw avx512vl".split()
with open("/proc/cpuinfo") as cpuinfo:
    HOST = cpuinfo.read().split()


def shell(model, bits=64):
    kernel, initramfs = (VMLINUZ, INITRAMFS) if bits == 64 else (VMLINUZ_I386, INITRAMFS_I386)
    need(initramfs)
    machine = Machine("-nographic", "-m", "256M", "-cpu", model, "-kernel", unpacked_kernel(kernel),
                      "-initrd", initramfs, "-append", "console=ttyS0", tty=True)
    machine.expect("Debian's kernel with a busybox shell")
    machine.expect("# ")
    return machine


def holds(machine, command):
    return machine.command_output(f"{command} >/dev/null") == 0


def linux(bits, model, present, absent, name=None):
    """Linux on this model, with flags of /proc/cpuinfo that must be there and that must not."""
    machine = shell(model, bits)
    for flag in present.split():
        if flag in HOSTS_UNIT and flag not in HOST:
            continue  # the model is without it here
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


@test(15)
def kvmclock():
    """Linux takes its time from kvmclock, unless there is no KVM to be seen."""
    if IS_QEMU:
        raise Skip("QEMU's TCG has no kvmclock")
    current = "/sys/devices/system/clocksource/clocksource0/current_clocksource"
    machine = shell("qemu64")
    check(holds(machine, "dmesg | grep 'Hypervisor detected: KVM'"), "the hypervisor")
    check(holds(machine, "dmesg | grep 'kvm-clock: Using msrs 4b564d01 and 4b564d00'"), "its registers")
    check(holds(machine, f"grep -x kvm-clock {current}"), "the clock in use")
    # Uptime by it goes on, and as fast as the clock of the board does.
    check(holds(machine, "a=$(cut -d. -f1 /proc/uptime); sleep 2; b=$(cut -d. -f1 /proc/uptime); test $((b - a)) -ge 2"),
          "uptime stands still")
    machine.line("poweroff")
    check(machine.wait() == 0, "poweroff should end the process with 0")
    machine = shell("qemu64,kvm=off")
    check(not holds(machine, "dmesg | grep -E 'kvm-clock|Hypervisor detected: KVM'"), "kvm=off")
    machine.line("poweroff")
    check(machine.wait() == 0, "poweroff should end the process with 0")


# Test, is it slow, and its boots: 32 or 64 bits, the model, flags that Linux must find, flags that it must
# not, and the name of the processor.
BOOTS = (
    ("pentium3", False, (32, "pentium3", "fpu vme sep cmov fxsr sse", "sse2 lm nx syscall")),
    ("pentium2", True, (32, "pentium2", "fpu vme sep cmov fxsr mmx pae", "sse lm nx")),
    ("qemu32", True, (32, "qemu32", "sse2 pni pae", "lm nx vme syscall")),
    ("kvm32", True, (32, "kvm32", "sse2 pni clflush vme", "lm nx", "Common 32-bit KVM processor")),
    ("athlon", True, (32, "athlon", "sse2 mmxext", "lm pni clflush")),
    ("coreduo", True, (32, "coreduo", "sse2 pni nx", "lm ssse3", "Genuine Intel(R) CPU")),
    ("n270", True, (32, "n270", "ssse3 movbe", "lm sse4_1", "Atom")),
    ("core2duo", True,
     (32, "core2duo", "ssse3 lm nx", "sse4_1 popcnt", "Core(TM)2 Duo"),
     (64, "core2duo", "ssse3 lm nx cx16", "sse4_1 popcnt", "Core(TM)2 Duo")),
    ("qemu64", True, (64, "qemu64", "sse2 pni cx16 lahf_lm", "ssse3 avx svm")),
    ("kvm64", True, (64, "kvm64", "sse2 pni cx16", "ssse3 lahf_lm", "Common KVM processor")),
    ("phenom", True, (64, "phenom", "popcnt abm", "ssse3", "Phenom")),
    ("nehalem", True, (64, "Nehalem", "sse4_2 popcnt", "aes avx xsave", "Core i7 9xx")),
    ("haswell", True, (64, "Haswell", "avx2 fma bmi2 pcid smep", "smap adx avx512f", "Haswell")),
    ("skylake_server", True, (64, "Skylake-Server", "smap adx clwb", "umip sha_ni", "Skylake")),
    ("opteron", True, (64, "Opteron_G5", "fma f16c", "avx2", "Opteron 63xx")),
    ("epyc", True, (64, "EPYC", "avx2 sha_ni smap fsgsbase", "pcid avx512f", "AMD EPYC Processor")),
    ("dhyana", True, (64, "Dhyana", "avx2 smap", "sha_ni aes", "Hygon")),
    ("levels", True,
     (64, "x86-64-v1", "sse2 lm", "pni ssse3 cx16 lahf_lm"),
     (64, "x86-64-v2", "sse4_2 cx16 popcnt lahf_lm", "xsave avx movbe"),
     (64, "x86-64-v3", "avx2 fma bmi1 bmi2 movbe abm", "avx512f aes"),
     (64, "x86-64-v4", "avx512f avx512bw avx512vl", "aes avx512vbmi")),
    ("hosts_own", True, (64, "max", "lm", "vmx"), (64, "host", "lm", "vmx")),
)


def add(name, slow, *boots):
    def function():
        for boot in boots:
            linux(*boot)
    function.__name__ = name
    test(10 * len(boots), slow)(function)


for row in BOOTS:
    add(*row)


@test(5)
def grub_on_486():
    """No kernel of Debian's is that old: GRUB, whose code is for the 386, to its menu. test_floppy.py has a
    program of 16 bits."""
    machine = grub_menu("-cpu", "486", "-m", "64M")
    check(machine.quit() == 0, "quit should end the process with 0")


if __name__ == "__main__":
    main()
