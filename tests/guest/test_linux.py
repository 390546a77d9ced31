#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian's own kernel with the busybox initramfs, booted directly, on the terminal."""
import os
import termios

from harness import INITRAMFS, VMLINUZ, Machine, check, main, need, test


def boot(*more, append="console=ttyS0", tty=True, monitor=True):
    need(VMLINUZ)
    need(INITRAMFS)
    return Machine("-nographic", "-m", "512M", "-kernel", VMLINUZ, "-initrd", INITRAMFS,
                   "-append", append, *more, tty=tty, monitor=monitor)


def shell(machine):
    machine.expect("Linux version 6")
    machine.expect("Debian's kernel with a busybox shell")
    machine.expect("# ")


@test(70)
def shell_and_reboot():
    """A shell runs commands; reboot boots again; poweroff ends the process with 0."""
    machine = boot()
    shell(machine)
    check(machine.command_output("test $((6 * 7)) = 42 && test -d /proc/1 && test -c /dev/ttyS0") == 0,
          "arithmetic or mounts")
    check(machine.command_output("grep -q '^MemTotal: *4[0-9][0-9][0-9][0-9][0-9] kB' /proc/meminfo")
          == 0, "the guest does not see its 512 MiB")
    check(machine.command_output("a=0; for i in 1 2 3 4 5 6 7 8 9; do a=$((a + i)); done; test $a = 45")
          == 0, "a loop")
    check(machine.command_output("test $(awk 'BEGIN { printf \"%.6f\", 22 / 7 }') = 3.142857") == 0,
          "22 / 7 by awk")
    check(machine.command_output("dd if=/dev/zero bs=1M count=2 2>/dev/null | sha256sum | grep -q "
                                 "^5647f05ec18958947d32874eeb788fa396a05d0bab7c1b71f112ceb7e9b31eee")
          == 0, "SHA-256 of 2 MiB of zeros")
    check(machine.command_output("sh -c 'kill -SEGV $$'") == 139, "a process that dies by a signal")
    machine.line("reboot")
    machine.expect("reboot: Restarting system|reboot: machine restart")
    shell(machine)
    machine.line("poweroff")
    check(machine.wait() == 0, f"poweroff ended the process with {machine.wait()}")


@test(35)
def monitor_beside_the_shell():
    """Ctrl-A c goes to the monitor and back; under -no-reboot a reboot ends the process with 0."""
    machine = boot("-no-reboot", monitor=False)
    shell(machine)
    machine.send("\x01c")
    machine.send("\n")
    machine.expect(r"\(qemu\) ")
    machine.line("info status")
    machine.expect("VM status: running")
    machine.expect(r"\(qemu\) ")
    machine.line("stop")
    machine.expect(r"\(qemu\) ")
    machine.line("info status")
    machine.expect("VM status: paused")
    machine.line("cont")
    machine.send("\x01c")
    check(machine.command_output("true") == 0, "the shell after the monitor")
    machine.line("reboot")
    check(machine.wait() == 0, "-no-reboot: the reboot should have ended the process with 0")


@test(5)
def leave_by_key():
    """Ctrl-A x leaves at any time with status 0 and the terminal is as it was."""
    machine = boot(monitor=False)
    machine.expect("Linux version 6")
    during = termios.tcgetattr(machine.slave)
    check(not during[3] & termios.ICANON, "the terminal is not in raw mode while the guest runs")
    machine.send("\x01h")
    machine.expect("(?i)c-a x +.*exit|C-a x|Ctrl-A x")
    machine.send("\x01x")
    check(machine.wait() == 0, "Ctrl-A x should end the process with 0")
    check(termios.tcgetattr(machine.slave) == machine.terminal_before,
          "the terminal was not put back as it was")


@test(25)
def state_by_monitor():
    """What the monitor says of a running kernel: 64-bit registers, memory by x and xp, a file of it."""
    machine = boot("-name", "seen from the monitor", tty=False)
    shell(machine)
    said = machine.hmp("info registers")
    check("RIP=" in said and "CR3=" in said and "EFER=" in said, f"info registers said {said!r}")
    said = machine.hmp("xp /2xb 0x7c00")
    check("0x" in said, f"xp said {said!r}")
    path = os.path.join(machine.folder, "memory")
    machine.hmp(f"pmemsave 0x100000 65536 \"{path}\"")
    check(os.path.getsize(path) == 65536, "pmemsave wrote a file of another size")
    check(machine.quit() == 0, "quit should end the process with 0")


if __name__ == "__main__":
    main()
