#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Hosts that lack something: the translator does without it, or the interpreter runs, and one line says so."""
import ctypes
import resource
import struct

import harness
from harness import INITRAMFS, VMLINUZ, Machine, assemble, check, main, need, run, test

harness.ENGINE = None  # where -accel is not given, that is what is tested

# asm/unistd_64.h
MADVISE, MEMFD_CREATE = 28, 319
# What Docker's default profile refuses a process without capabilities, with EPERM: moby, profiles/seccomp.
DOCKER = {
    "acct": 163, "add_key": 248, "bpf": 321, "clock_settime": 227, "create_module": 174, "delete_module": 176,
    "finit_module": 313, "get_kernel_syms": 177, "get_mempolicy": 239, "init_module": 175, "io_uring_enter": 426,
    "io_uring_register": 427, "io_uring_setup": 425, "ioperm": 173, "iopl": 172, "kcmp": 312, "kexec_file_load": 320,
    "kexec_load": 246, "keyctl": 250, "lookup_dcookie": 212, "mbind": 237, "mount": 165, "move_pages": 279,
    "nfsservctl": 180, "open_by_handle_at": 304, "perf_event_open": 298, "personality": 135, "pivot_root": 155,
    "process_vm_readv": 310, "process_vm_writev": 311, "ptrace": 101, "query_module": 178, "quotactl": 179, "reboot": 169,
    "request_key": 249, "set_mempolicy": 238, "setns": 308, "settimeofday": 164, "swapoff": 168, "swapon": 167,
    "sysfs": 139, "syslog": 103, "umount2": 166, "unshare": 272, "uselib": 134, "userfaultfd": 323, "ustat": 136,
    "vhangup": 153,
}
GUARD_INSTALL = 102


def refusing(numbers, advice=None):
    """For Popen's preexec_fn: these system calls fail with EPERM from now on, and madvise with this advice. A program
    for seccomp(2); seccomp_data begins with nr, arch, instruction_pointer, args."""
    load, equal, give, allow, eperm = 0x20, 0x15, 0x06, 0x7fff0000, 0x50001
    code = [(load, 0, 0, 0)]
    if advice is not None:
        code += [(equal, 0, 3, MADVISE), (load, 0, 0, 16 + 2 * 8), (equal, 0, 1, advice), (give, 0, 0, eperm),
                 (load, 0, 0, 0)]
    for number in numbers:
        code += [(equal, 0, 1, number), (give, 0, 0, eperm)]
    code.append((give, 0, 0, allow))
    program = b"".join(struct.pack("<HBBI", *line) for line in code)
    libc = ctypes.CDLL(None, use_errno=True)

    def install():
        buffer = ctypes.create_string_buffer(program)
        filter_of = struct.pack("<HxxxxxxQ", len(code), ctypes.addressof(buffer))
        no_new_privs, set_seccomp, by_filter = 38, 22, 2
        if libc.prctl(no_new_privs, 1, 0, 0, 0) or libc.prctl(set_seccomp, by_filter, filter_of, 0, 0):
            raise OSError(ctypes.get_errno(), "prctl")
    return install


def boots(accel, *said, **options):
    """Linux boots to its shell and switches off; each line on standard error holds one of the words, in order."""
    need(VMLINUZ)
    need(INITRAMFS)
    machine = Machine("-nographic", "-m", "512M", "-kernel", VMLINUZ, "-initrd", INITRAMFS, "-append", "console=ttyS0",
                      "-accel", accel, **options)
    machine.expect("Debian's kernel with a busybox shell")
    machine.expect("# ")
    check(machine.command_output("ls -lR /bin /etc >/dev/null; echo $((6 * 7)) | grep -q 42") == 0, "a command")
    counted = machine.hmp("info jit")
    check("blocks translated" in counted, f"the interpreter ran: {counted}")
    machine.line("poweroff")
    check(machine.wait() == 0, f"poweroff ended the process with {machine.wait()}")
    lines = machine.errors.decode().splitlines()
    check(len(lines) == len(said) and all(word in line for word, line in zip(said, lines)), f"it said {lines}")


@test(12, engine=False)
def less_of_everything():
    """All at once, in a container. A kernel before 6.15 would refuse guard pages as this filter does."""
    boots("dbt,bmi2=off,fsgsbase=off", "guard pages", "BMI2", "FSGSBASE",
          preexec_fn=refusing(DOCKER.values(), advice=GUARD_INSTALL))


@test(12, slow=True, engine=False)
def without_guard_pages():
    boots("dbt,guard-pages=off", "guard pages")


@test(12, slow=True, engine=False)
def without_bmi2():
    boots("dbt,bmi2=off", "BMI2")


@test(12, slow=True, engine=False)
def without_fsgsbase():
    boots("dbt,fsgsbase=off", "FSGSBASE")


@test(12, slow=True, engine=False)
def under_dockers_profile():
    """All of it is refused, and nothing of it is missed."""
    boots("dbt", preexec_fn=refusing(DOCKER.values()))


@test(2, engine=False)
def memfd_refused():
    """Nothing runs without memory that can be mapped twice; the line says what is missing."""
    status, _, errors = run("-display", "none", "-accel", "dbt", preexec_fn=refusing([MEMFD_CREATE]))
    check(status == 1 and len(errors.splitlines()) == 1 and "memfd_create" in errors, f"status {status}: {errors}")


def alive(*arguments, room=None):
    """A boot sector that ends the process runs; the lines on standard error."""
    limit = room and (lambda: resource.setrlimit(resource.RLIMIT_AS, (room, room)))
    status, output, errors = run("-display", "none", "-serial", "null", "-debugcon", "stdio", "-device",
                                 "isa-debug-exit", "-drive", f"file={assemble('keeps_running')},format=raw",
                                 *arguments, preexec_fn=limit)
    check("<alive>" in output and status == 15, f"status {status}: {output} {errors}")
    return errors.splitlines()


@test(10, engine=False)
def small_address_space():
    """ulimit -v: the interpreter runs, and says why."""
    for arguments in ((), ("-accel", "dbt"), ("-accel", "kvm", "-accel", "tcg")):
        lines = alive(*arguments, room=8 << 30)
        check("ulimit -v" in lines[-1] and "running on the interpreter" in lines[-1], f"{arguments}: it said {lines}")
        check(len(lines) == (2 if "kvm" in arguments else 1), f"{arguments}: it said {lines}")
    check(alive("-accel", "interp", room=8 << 30) == [], "the interpreter was asked for")


@test(5, engine=False)
def default():
    """The translator runs without being asked for."""
    machine = Machine("-display", "none", "-S")
    check("translator: guard-pages=" in machine.hmp("info jit"), "another engine runs")
    machine.quit()


if __name__ == "__main__":
    main()
