# SPDX-License-Identifier: GPL-2.0-or-later
"""The workloads of bench/run, each a fixed amount of work, the same for every engine of a run.

The full amounts are such that QEMU's TCG takes one to three seconds; --scale makes them smaller. What a
workload needs beside busybox is a part of the guest's files, by the name tools/guest/make-bench knows.
"""
import os

HERE = os.path.dirname(os.path.abspath(__file__))


class Workload:
    """job(amount) is the driver's line, or several (bench/guest/driver.c); files(amount) what it reads."""

    def __init__(self, name, title, amount, job, parts=(), files=None, compute=False):
        self.name = name
        self.title = title
        self.amount = amount
        self.job = job
        self.parts = parts
        self.files = files or (lambda amount: {})
        self.compute = compute


def work(name, title, rounds, compute=False):
    """One of the driver's own."""
    return Workload(name, title, rounds, lambda amount: [[name, "work", amount]], compute=compute)


def program(name, title, amount, arguments, parts, text=False, files=None):
    """A program. {} in its arguments is the amount; with text that is the size of the file /tmp/text it reads."""
    def job(amount):
        run = [name, "run", *(word.replace("{}", str(amount)) for word in arguments)]
        return [["/tmp/text", "text", amount], run] if text else [run]
    return Workload(name, title, amount, job, parts, files, compute=True)


def guest_file(name):
    with open(os.path.join(HERE, "guest", name)) as file:
        return file.read()


def sources(amount):
    """The C source to compile, several times over with other names."""
    text = guest_file("compiled.c")
    return {"bench/compiled.c": "".join(text.replace("COPY", f"_{copy}") for copy in range(amount)).encode()}


def statements(amount):
    return {"bench/tables.sql": guest_file("tables.sql").replace("AMOUNT", str(amount)).encode()}


def script(_amount):
    return {"bench/script.py": guest_file("script.py").encode()}


WORKLOADS = [
    work("integer", "integer loop", 400_000_000, compute=True),
    work("quicksort", "quicksort", 200, compute=True),
    work("chase", "pointer chase", 200_000_000, compute=True),
    work("calls", "recursive calls", 6_000, compute=True),
    work("virtual", "virtual calls", 50_000, compute=True),
    work("matrix", "matrix of doubles", 100, compute=True),
    work("avx2", "AVX2 kernel", 2_000, compute=True),
    work("memcpy", "memcpy", 15_000, compute=True),
    work("memset", "memset", 15_000, compute=True),
    work("getpid", "getpid", 3_000_000),
    work("faults", "page faults", 400),
    work("pingpong", "pipe ping-pong", 20_000),
    work("fork", "fork", 1_500),
    work("exec", "exec", 600),
    program("ash", "busybox ash loop", 60_000,
            ["busybox", "ash", "-c", "i=0; while [ $i -lt {} ]; do i=$((i + 1)); done; echo $i"], ()),
    program("gzip", "gzip -9", 10_000_000, ["/bin/gzip", "-9", "-n", "-c", "/tmp/text"], ("gzip", "libc"), text=True),
    program("sha256", "sha256sum", 100_000_000, ["busybox", "sha256sum", "/tmp/text"], (), text=True),
    program("python", "python3", 20, ["python3.11", "-I", "-S", "/bench/script.py", "{}"], ("libc", "python"),
            files=script),
    program("sqlite", "sqlite3", 60_000, ["sqlite3", ":memory:", ".read /bench/tables.sql"], ("libc", "sqlite"),
            files=statements),
    program("aes", "openssl AES-256-CBC", 64_000_000,
            ["openssl", "enc", "-aes-256-cbc", "-in", "/tmp/text", "-K", "00112233445566778899aabbccddeeff" * 2,
             "-iv", "0f1e2d3c4b5a69788796a5b4c3d2e1f0"], ("libc", "openssl"), text=True),
    program("gcc", "gcc -O2", 2,
            ["x86_64-linux-gnu-gcc-12", "-O2", "-ffreestanding", "-c", "-o", "/tmp/out", "/bench/compiled.c"],
            ("gcc", "libc"), files=sources),
    work("rewrite", "self-rewriting code", 200_000),
    work("atomic", "atomic increments", 200_000_000),
]
NAMES = [workload.name for workload in WORKLOADS]
# Measured apart from the guest's jobs: booting, and what the host pays.
BOOT, START, MEMORY = "boot", "start", "memory"
EXTRAS = {BOOT: "boot to shell", START: "start to first instruction", MEMORY: "memory beyond guest RAM"}


def pick(words):
    """The workloads and extras that a list of names asks for, in our order; "compute" is the group."""
    everything = [*NAMES, *EXTRAS]
    wanted = set()
    for word in words:
        if word == "compute":
            wanted |= {workload.name for workload in WORKLOADS if workload.compute}
        elif word in everything:
            wanted.add(word)
        else:
            raise ValueError(f"no workload {word!r}; there are: compute (a group), {', '.join(everything)}")
    return ([workload for workload in WORKLOADS if workload.name in wanted],
            [extra for extra in EXTRAS if extra in wanted])


def amount(workload, scale):
    return max(1, round(workload.amount * scale))
