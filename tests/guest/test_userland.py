#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Programs of Debian's userland - python3, sqlite3, gcc and what gcc made - print in the guest what the same files print
on the host, where they run in a folder of their own."""
import os
import re
import shutil
import subprocess
import sys

import harness
from harness import CACHE, INITRAMFS, Failure, Machine, check, main, need, test, unpacked_kernel, workspace

sys.path.insert(0, os.path.join(harness.ROOT, "bench"))
from engines import cpio  # noqa: E402

PARTS = ("libc", "python", "sqlite", "gcc")
FOLDER = os.path.join(harness.ROOT, "tests/guest/userland")
# Name of the output, and what makes it. x86-64-v3 is what a processor with AVX2 and FMA takes.
COMMANDS = {
    "python": "/usr/bin/python3.11 -S -B /userland/programs.py",
    "sqlite": "/usr/bin/sqlite3 :memory: '.read /userland/queries.sql'",
    "c": "/userland/programs",
    "c-wide": "/userland/programs-wide",
    "gcc": "/usr/bin/x86_64-linux-gnu-gcc-12 -O2 -ffreestanding -S -o - /userland/compiled.c",
    "gcc-wide": "/usr/bin/x86_64-linux-gnu-gcc-12 -O3 -march=x86-64-v3 -ffreestanding -S -o - /userland/compiled.c",
}


def flags():
    with open("/proc/cpuinfo") as cpuinfo:
        return set(re.search(r"^flags\s*: (.*)$", cpuinfo.read(), re.M).group(1).split())


def commands():
    return {name: line for name, line in COMMANDS.items() if name != "c-wide" or {"avx2", "fma", "bmi2"} <= flags()}


def own_files():
    files = {}
    for name in ("programs.py", "queries.sql"):
        with open(os.path.join(FOLDER, name), "rb") as file:
            files[f"userland/{name}"] = (0o100644, file.read())
    with open(os.path.join(harness.ROOT, "bench/guest/compiled.c"), "rb") as file:
        files["userland/compiled.c"] = (0o100644, file.read())
    for name, options in (("programs", []), ("programs-wide", ["-march=x86-64-v3"])):
        path = os.path.join(workspace(), name)
        subprocess.run(["gcc", "-O3", "-frounding-math", *options, "-static", "-o", path, os.path.join(FOLDER, "programs.c"),
                        "-lm"], check=True)
        with open(path, "rb") as file:
            files[f"userland/{name}"] = (0o100755, file.read())
    script = ["export PYTHONHASHSEED=0 PATH=/usr/bin:/bin TMPDIR=/tmp", "mkdir -p /tmp/out"]
    script += [f"{line} >/tmp/out/{name} 2>&1; echo status $? >>/tmp/out/{name}" for name, line in commands().items()]
    files["userland/run"] = (0o100644, ("\n".join(script) + "\n").encode())
    return files


def on_the_host(archives):
    """The outputs, by name."""
    tree = os.path.join(workspace(), "tree")
    os.makedirs(os.path.join(tree, "tmp"))
    for archive in archives:
        with open(archive, "rb") as file:
            subprocess.run(["cpio", "-idmu", "--quiet", "--no-preserve-owner"], stdin=file, cwd=tree, check=True)
    enter = [shutil.which("chroot"), tree] if os.geteuid() == 0 else [shutil.which("unshare"), "--map-root-user", f"--root={tree}"]
    subprocess.run([*enter, "/bin/sh", "/userland/run"], env={}, check=True)
    outputs = {}
    for name in commands():
        with open(os.path.join(tree, "tmp/out", name), "rb") as file:
            outputs[name] = file.read()
        if not outputs[name].endswith(b"status 0\n"):
            raise Failure(f"{name} on the host: {outputs[name][-500:].decode(errors='replace')}")
    shutil.rmtree(tree)
    return outputs


@test(100, slow=True)
def same_output():
    """What the host's programs printed lies beside what the guest's do; the end shows where they differ."""
    need(INITRAMFS)
    subprocess.run([os.path.join(harness.ROOT, "tools/guest/make-bench"), *PARTS], check=True)
    own = os.path.join(workspace(), "own.cpio")
    with open(own, "wb") as file:
        file.write(cpio(own_files()))
    archives = [INITRAMFS, *(os.path.join(CACHE, f"bench-{part}.cpio") for part in PARTS), own]
    expected = on_the_host(archives)
    beside = os.path.join(workspace(), "expected.cpio")
    with open(beside, "wb") as file:
        file.write(cpio({f"userland/expected/{name}": (0o100644, output) for name, output in expected.items()}))
    initramfs = os.path.join(workspace(), "userland")
    with open(initramfs, "wb") as target:
        for archive in [*archives, beside]:
            with open(archive, "rb") as file:
                shutil.copyfileobj(file, target)
            target.write(b"\0" * (-target.tell() % 512))
    machine = Machine("-nographic", "-m", "1G", "-kernel", unpacked_kernel(), "-initrd", initramfs,
                      "-append", "console=ttyS0 quiet", tty=True)
    machine.expect("Debian's kernel with a busybox shell")
    machine.expect("# ")
    check(machine.command_output("sh /userland/run") == 0, "the programs")
    differ = [name for name in expected
              if machine.command_output(f"busybox diff /userland/expected/{name} /tmp/out/{name} | cut -c1-300 | head -n 40; "
                                        f"cmp -s /userland/expected/{name} /tmp/out/{name}") != 0]
    check(not differ, f"other output than on the host: {' '.join(differ)}")
    machine.line("poweroff")
    check(machine.wait() == 0, "poweroff should end the process with 0")


if __name__ == "__main__":
    main()
