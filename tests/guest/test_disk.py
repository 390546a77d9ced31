#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A Debian 12 system on a disk: the long way by SeaBIOS and GRUB, and what happens to its data."""
import hashlib
import os
import signal

from harness import (DEBIAN_DISK, IS_QEMU, Machine, check, e2fsck, file_in_disk, main, names_in_disk,
                     need, partition_of, scratch_disk, test, workspace)


def log_in(machine):
    machine.expect("trapeze-guest login: ")
    machine.line("root")
    machine.expect("Password: ")
    machine.line("trapeze")
    machine.expect("root@trapeze-guest:~# ")


def run_line(machine, text):
    return machine.command_output(text, prompt="# ")


@test(200)
def debian_twice():
    """SeaBIOS, GRUB, login prompt; a file is written; after power-off it is there on the next boot."""
    disk = scratch_disk()
    machine = Machine("-m", "1G", "-hda", disk, "-nographic", tty=True, monitor=False)
    machine.expect("GRUB")
    machine.expect("Linux version 6")
    log_in(machine)
    check(run_line(machine, "systemctl is-system-running --wait; uname -m | grep -qx x86_64") == 0,
          "uname")
    check(run_line(machine, "seq 1 20000 > /root/kept && sync") == 0, "writing a file")
    machine.line("poweroff")
    check(machine.wait() == 0, "poweroff should end the process with 0")
    status, output = e2fsck(disk, "-fn")
    check(status == 0, f"e2fsck -fn after the first run:\n{output}")

    machine = Machine("-m", "1G", "-hda", disk, "-nographic", tty=True, monitor=False)
    log_in(machine)
    check(run_line(machine, "seq 1 20000 | cmp - /root/kept") == 0, "the file is not there or differs")
    machine.line("poweroff")
    check(machine.wait() == 0, "poweroff should end the process with 0")
    status, output = e2fsck(disk, "-fn")
    check(status == 0, f"e2fsck -fn after the second run:\n{output}")


def straight_to_shell(disk, *more):
    """The disk's own kernel and initramfs booted directly, with bash in place of systemd."""
    kernel, initrd = os.path.join(workspace(), "vmlinuz"), os.path.join(workspace(), "initrd")
    for name in names_in_disk(disk, "/boot"):
        if name.startswith("vmlinuz-"):
            file_in_disk(disk, "/boot/" + name, kernel)
        if name.startswith("initrd.img-"):
            file_in_disk(disk, "/boot/" + name, initrd)
    machine = Machine("-m", "512M", "-display", "none", "-serial", "stdio", "-kernel", kernel,
                      "-initrd", initrd, "-append",
                      "console=ttyS0 root=/dev/sda1 rw init=/bin/bash panic=-1", *more)
    machine.expect("Linux version 6")
    machine.expect(r"root@\(none\):/# ")
    # No terminal, no job control: the prompt alone is the rhythm.
    return machine


@test(60)
def killed_after_sync():
    """kill -9 of the process after a sync in the guest loses nothing of what was synced."""
    disk = scratch_disk()
    machine = straight_to_shell(disk, "-hda", disk)
    check(run_line(machine, "seq 1 30000 > /root/synced && sync") == 0, "writing a file")
    machine.process.send_signal(signal.SIGKILL)
    machine.wait()
    partition = partition_of(disk)
    status, output = e2fsck(partition, "-fp", offset=0)  # the journal is replayed
    check(status in (0, 1), f"e2fsck -fp:\n{output}")
    status, output = e2fsck(partition, "-fn", offset=0)
    check(status == 0, f"e2fsck -fn:\n{output}")
    kept = file_in_disk(partition, "/root/synced", os.path.join(workspace(), "synced"), offset=0)
    check(kept == "".join(f"{i}\n" for i in range(1, 30001)).encode(), "the synced file differs")


@test(50)
def snapshot_forgets():
    """-snapshot: the guest writes and reads back; the image keeps every byte it had."""
    need(DEBIAN_DISK)
    disk = scratch_disk()
    before = digest(disk)
    machine = straight_to_shell(disk, "-hda", disk, "-snapshot")
    check(run_line(machine, "seq 1 30000 > /root/lost && sync && "
                            "echo 3 > /proc/sys/vm/drop_caches && seq 1 30000 | cmp - /root/lost")
          == 0, "writing and reading back")
    check(machine.quit() == 0, "quit should end the process with 0")
    check(digest(disk) == before, "the image was changed in spite of -snapshot")


@test(50)
def image_shrinks():
    """The image file loses its end while the guest runs: the guest sees I/O errors and nothing worse."""
    disk = scratch_disk()
    machine = straight_to_shell(disk, "-hda", disk)
    size = os.path.getsize(disk)
    check(run_line(machine, f"dd if=/dev/sda of=/dev/null bs=4096 count=1 skip={size // 4096 - 1}")
          == 0, "reading the last block")
    os.truncate(disk, size // 2)
    status = run_line(machine, "echo 3 > /proc/sys/vm/drop_caches; "
                               f"dd if=/dev/sda of=/dev/null bs=4096 count=1 skip={size // 4096 - 1}")
    if not IS_QEMU:  # which reads zeros there
        check(status != 0, "reading past the end of the shrunken file should be an error")
    check("running" in machine.hmp("info status"), "the machine should go on")
    check(machine.quit() == 0, "quit should end the process with 0")
    check(os.path.getsize(disk) <= size, "the image grew")


@test(50)
def power_button_and_mouse():
    """system_powerdown is a press of the power button; mouse_move and mouse_button arrive."""
    disk = scratch_disk()
    machine = straight_to_shell(disk, "-hda", disk, "-snapshot")
    check(run_line(machine, "modprobe -a button evdev") == 0, "the drivers")
    machine.line("n=$(sed -n '/Power Button/,/^$/s/.*\\(event[0-9]*\\).*/\\1/p' /proc/bus/input/devices)")
    machine.line("(echo 'watching' $n; od -An -v -tx1 -w24 -N24) </dev/input/$n")
    machine.expect("watching event")
    machine.hmp("system_powerdown")
    machine.expect("01 00 74 00 01 00 00 00")  # EV_KEY, KEY_POWER, down
    machine.expect("# ")
    check(run_line(machine, "modprobe -a psmouse mousedev && "
                            "until grep -q 'PS/2.*Mouse' /proc/bus/input/devices; do sleep 0.1; done")
          == 0, "the mouse's driver")
    machine.line("(echo 'watching' it; od -An -v -tx1 -w3 -N6) </dev/input/mice")
    machine.expect("watching it")
    machine.hmp("mouse_move 5 3")
    machine.expect("28 05 fd")  # a PS/2 packet: y counts upwards, its sign is bit 5
    machine.hmp("mouse_button 1")
    machine.expect("09 00 00")
    check(machine.quit() == 0, "quit should end the process with 0")


def digest(path):
    sha = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 22):
            sha.update(chunk)
    return sha.hexdigest()


if __name__ == "__main__":
    main()
