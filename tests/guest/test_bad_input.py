#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What is wrong from outside: files that are not there or not whole, sizes that cannot be, options
nobody knows, guests that go astray. Each ends in one clear line or in something the guest sees."""
import os
import re
import shutil
import time

from harness import (TRAPEZE, VMLINUZ, Machine, assemble, check, main, need, run, test,
                     workspace)

QUIET = ("-display", "none", "-serial", "null")


def refused(arguments, status, *words, **options):
    """The program says one line that holds the words, and ends with this status."""
    got, _, errors = run(*QUIET, *arguments, **options)
    lines = errors.splitlines()
    check(got == status, f"status {got}, not {status}")
    check(len(lines) == 1, f"{len(lines)} lines of message, not one")
    check(lines[0].startswith("trapeze: "), "the line does not begin with the program's name")
    for word in words:
        check(re.search(word, lines[0]), f"the line does not match '{word}'")


def file(name, length=0, content=b""):
    """A file of this length in the workspace; sparse after its content."""
    path = os.path.join(workspace(), name)
    with open(path, "wb") as stream:
        stream.write(content)
        stream.truncate(max(length, len(content)))
    return path


def part_of_kernel(length):
    need(VMLINUZ)
    with open(VMLINUZ, "rb") as stream:
        return file("part", content=stream.read(length))


def alive(machine):
    """The process lives and its monitor answers."""
    said = machine.hmp("info status")
    check("VM status" in said, f"info status said {said!r}")


# Kernels and initrds

@test(1, engine=False)
def kernel_missing():
    refused(("-kernel", "/nonexistent/vmlinuz"), 1, "/nonexistent/vmlinuz", "No such file")


@test(1, engine=False)
def kernel_is_a_directory():
    refused(("-kernel", workspace()), 1, workspace(), "directory")


@test(1, engine=False)
def kernel_empty():
    refused(("-kernel", file("empty")), 1, "empty")


@test(1, engine=False)
def kernel_is_text():
    path = file("text", content=b"This is no kernel.\n" * 1000)
    refused(("-kernel", path), 1, re.escape(path))


@test(1, engine=False)
def kernel_ends_in_its_header():
    refused(("-kernel", part_of_kernel(600)), 1, "part")


@test(1, engine=False)
def kernel_ends_in_its_setup():
    refused(("-kernel", part_of_kernel(5000)), 1, "part")


@test(1, engine=False)
def kernel_larger_than_memory():
    need(VMLINUZ)
    with open(VMLINUZ, "rb") as stream:
        path = file("huge", length=3 << 30, content=stream.read())
    refused(("-m", "256M", "-kernel", path), 1, "huge")


@test(1, engine=False)
def kernel_unreadable():
    path = file("secret", content=b"x" * 4096)
    os.chmod(workspace(), 0o755)
    os.chmod(path, 0)
    refused(("-kernel", path), 1, "secret", "(?i)permission", **as_nobody())


@test(1, engine=False)
def elf_kernel_cut_off():
    """An ELF header whose program headers lie beyond the end."""
    header = bytearray(b"\x7fELF\x01\x01\x01" + bytes(57))
    header[16:20] = b"\x02\x00\x03\x00"
    header[28:32] = (0xfffffff0).to_bytes(4, "little")
    header[42:46] = b"\x20\x00\xff\xff"
    refused(("-kernel", file("elf", content=bytes(header))), 1, "elf")


@test(1, engine=False)
def initrd_missing():
    need(VMLINUZ)
    refused(("-kernel", VMLINUZ, "-initrd", "/nonexistent/initrd"), 1, "/nonexistent/initrd")


@test(1, engine=False)
def initrd_larger_than_memory():
    need(VMLINUZ)
    path = file("initrd", length=600 << 20)
    refused(("-m", "256M", "-kernel", VMLINUZ, "-initrd", path), 1, "initrd", "memory|room|fit")


@test(1, engine=False)
def initrd_of_many_gigabytes():
    need(VMLINUZ)
    path = file("initrd", length=1 << 40)
    refused(("-m", "256M", "-kernel", VMLINUZ, "-initrd", path), 1, "initrd")


@test(1, engine=False)
def command_line_too_long():
    need(VMLINUZ)
    refused(("-kernel", VMLINUZ, "-append", "x" * 100000), 1, "command line|-append")


@test(1, engine=False)
def bios_missing():
    refused(("-bios", "/nonexistent/bios"), 1, "/nonexistent/bios")


@test(1, engine=False)
def bios_of_odd_size():
    refused(("-bios", file("odd-bios", length=12345)), 1, "odd-bios")


# Sizes and options

@test(1, engine=False)
def memory_of_0():
    refused(("-m", "0"), 2, "-m", "allowed|least|at least|too small")


@test(1, engine=False)
def memory_of_a_petabyte():
    got, _, errors = run(*QUIET, "-m", "1P")
    check(got in (1, 2) and len(errors.splitlines()) == 1 and "trapeze: " in errors,
          f"status {got}")


@test(1, engine=False)
def memory_is_no_number():
    refused(("-m", "lots"), 2, "-m", "lots")


@test(1, engine=False)
def unknown_option():
    refused(("-kernal", "x"), 2, "-kernal", "-kernel")


@test(1, engine=False)
def unknown_option_near_nothing():
    refused(("-zzzzzzzzzz",), 2, "-zzzzzzzzzz")


@test(1, engine=False)
def unknown_machine():
    refused(("-machine", "pcc"), 2, "pcc", "pc")


@test(1, engine=False)
def unknown_key_of_drive():
    refused(("-drive", "fil=x,format=raw"), 2, "fil", "file")


@test(1, engine=False)
def unknown_format():
    refused(("-drive", "file=x,format=rwa"), 2, "rwa", "raw")


@test(1, engine=False)
def unknown_device():
    refused(("-device", "isa-debug-exot"), 2, "isa-debug-exit")


@test(1, engine=False)
def two_processors():
    refused(("-smp", "2"), 2, "-smp")


@test(1, engine=False)
def argument_missing():
    refused(("-kernel",), 2, "-kernel")


@test(1, engine=False)
def help_and_version():
    for option, word in (("-help", "-kernel"), ("-version", "[0-9]+\\.[0-9]+")):
        status, output, errors = run(option)
        check(status == 0 and not errors and re.search(word, output), f"{option}: {status}")


# Disks

def as_nobody():
    """Options to run the program as a user without rights, when the test has them. A copy of it: nobody
    may not look into root's home, where the checkout can be."""
    if os.geteuid() != 0:
        return {}
    os.chmod(workspace(), 0o755)
    program = shutil.copy(shutil.which(TRAPEZE), workspace())
    return {"user": 65534, "group": 65534, "extra_groups": [], "program": program, "cwd": "/"}


@test(1, engine=False)
def disk_missing():
    refused(("-hda", "/nonexistent/disk"), 1, "/nonexistent/disk", "No such file")


@test(1, engine=False)
def disk_is_a_directory():
    refused(("-hda", workspace()), 1, re.escape(workspace()), "directory")


@test(1, engine=False)
def disk_read_only():
    """Opened for writing: refused with the way out; the way out works."""
    path = file("read-only", length=1 << 20)
    os.chmod(workspace(), 0o755)
    os.chmod(path, 0o444)
    refused(("-drive", f"file={path},format=raw"), 1, "read-only", "readonly=on|read-only=on",
            **as_nobody())


@test(1, engine=False)
def disk_given_twice():
    """Two machines that write to one image: the second is refused."""
    path = file("shared", length=1 << 20)
    machine = Machine(*QUIET, "-drive", f"file={path},format=raw")
    alive(machine)
    refused(("-drive", f"file={path},format=raw"), 1, "shared", "lock|in use|use")
    check(machine.quit() == 0, "quit should end the process with 0")


@test(3, engine=False)
def disk_of_no_length():
    """An empty image: firmware finds nothing to boot from and the machine stays."""
    machine = Machine(*QUIET, "-drive", f"file={file('empty')},format=raw")
    time.sleep(1)
    alive(machine)
    check(machine.quit() == 0, "quit should end the process with 0")


@test(5)
def disk_of_odd_length():
    """A boot sector at the start of a file that ends in the middle of a sector boots."""
    with open(assemble("keeps_running"), "rb") as stream:
        path = file("odd", content=stream.read()[:100 * 512 + 77])
    status, output, _ = run(*QUIET[:2], "-debugcon", "stdio", "-serial", "null", "-device",
                            "isa-debug-exit", "-drive", f"file={path},format=raw")
    check("<alive>" in output and status == 15, f"status {status}")


# Guests

def astray(name, *more, **defines):
    return Machine("-display", "none", "-serial", "null", "-debugcon", "stdio",
                   "-drive", f"file={assemble(name, **defines)},format=raw", *more)


@test(5)
def triple_fault_under_no_reboot():
    machine = astray("triple_fault", "-no-reboot")
    machine.expect("<triple>")
    check(machine.wait() == 0, "under -no-reboot a triple fault should end the process with 0")


@test(10)
def triple_fault_for_ever():
    """Without -no-reboot the machine starts again, and again; the monitor answers meanwhile."""
    machine = astray("triple_fault")
    for _ in range(4):
        machine.expect("<triple>")
    alive(machine)
    check(machine.quit() == 0, "quit should end the process with 0")


def jump(target):
    machine = astray("jump_to_io", "-no-reboot", TARGET=hex(target))
    machine.expect("<jump>")
    # What is there may decode as anything; the guest ends by a triple fault or runs in circles.
    for _ in range(20):
        if not machine.running():
            break
        alive_or_ended(machine)
        time.sleep(0.1)
    status = machine.quit() if machine.running() else machine.wait()
    check(status == 0, f"status {status}")


def alive_or_ended(machine):
    try:
        alive(machine)
    except Exception:  # it may end between the look and the question
        check(machine.wait() == 0, "ended with another status than 0")


@test(5)
def jump_into_hpet():
    jump(0xfed00000)


@test(5)
def jump_into_apic():
    jump(0xfee00000)


@test(5)
def jump_into_ioapic():
    jump(0xfec00000)


@test(5)
def jump_into_vga():
    jump(0xa0000)


@test(5)
def jump_into_nothing():
    jump(0xd0000000)


@test(5)
def jump_to_the_end_of_the_world():
    jump(0xfffffff8)


@test(5)
def timers_at_zero():
    """Every timer as fast as it takes and all interrupts on: the monitor still answers."""
    machine = astray("timers_at_zero")
    machine.expect("<armed>")
    for _ in range(10):
        alive(machine)
        time.sleep(0.1)
    check(machine.quit() == 0, "quit should end the process with 0")


@test(5)
def debug_exit():
    """isa-debug-exit ends the process with 2 * value + 1."""
    machine = astray("keeps_running", "-device", "isa-debug-exit")
    check(machine.wait() == 15, f"status {machine.wait()}, not 15")
    check(b"<alive>" in machine.output, "no output on the debug port")


if __name__ == "__main__":
    main()
