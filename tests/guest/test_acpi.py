#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What a kernel finds in the tables the firmware has installed."""
from harness import INITRAMFS, VMLINUZ, Machine, check, main, need, test


def boot(*more):
    need(VMLINUZ)
    need(INITRAMFS)
    machine = Machine("-nographic", "-m", "512M", "-kernel", VMLINUZ, "-initrd", INITRAMFS,
                      "-append", "console=ttyS0 log_buf_len=1M", *more, tty=True)
    machine.expect("Debian's kernel with a busybox shell")
    machine.expect("# ")
    return machine


@test(50)
def tables_and_power_off():
    """Tables without complaints, their devices, interrupts by the I/O APIC, power off by S5."""
    machine = boot()

    def guest(command, what):
        check(machine.command_output(command) == 0, what)

    guest("cd /sys/firmware/acpi/tables && ls APIC DSDT FACP HPET && cd /", "a table is missing")
    guest("! dmesg | grep -E 'ACPI.*(Error|Warning|Exception)|Firmware (Bug|Warn)'",
          "the kernel complains about the tables")
    guest("dmesg | grep -q 'SMBIOS 2.8 present'", "no SMBIOS")
    guest("dmesg | grep -q 'ACPI: Using IOAPIC for interrupt routing'", "no interrupt routing")
    guest("test $(dmesg | grep -c 'ACPI: PCI: Interrupt link LNK[ABCDS] configured') = 5",
          "the interrupt links")
    guest("grep -q 'IO-APIC *9-fasteoi *acpi' /proc/interrupts", "the SCI is not IRQ 9, level")
    guest("grep -q '0600-0603 : ACPI PM1a_EVT_BLK' /proc/ioports", "no PM1 block at 0x600")
    guest("dmesg | grep -q 'mem 0xc0000000-0xfebfffff window\\|mem 0x20000000-0xfebfffff window'",
          "the PCI window")
    machine.line("poweroff")
    machine.expect("Preparing to enter system sleep state S5")
    check(machine.wait() == 0, f"poweroff ended the process with {machine.wait()}")


@test(30)
def without_acpi():
    """acpi=off: no tables; the kernel finds its processor and interrupts by the MP table."""
    machine = boot("-machine", "acpi=off")
    check(machine.command_output("test ! -e /sys/firmware/acpi/tables/DSDT") == 0, "there is a DSDT")
    check(machine.command_output("grep -q 'IO-APIC.*i8042' /proc/interrupts") == 0,
          "interrupts do not come by the I/O APIC")


if __name__ == "__main__":
    main()
