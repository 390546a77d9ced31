# SPDX-License-Identifier: GPL-2.0-or-later
"""What runs the workloads: Trapeze with one of its engines, QEMU, or the host itself.

run_jobs() of each writes into results {name: {"seconds", "cpu", "guest_seconds", "result"}}, or {"missing": why}, as far
as it comes.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
sys.path.insert(0, os.path.join(ROOT, "tests/guest"))
import harness  # noqa: E402  pylint: disable=wrong-import-position

GUEST_BYTES = 1 << 30
KERNEL = os.path.join(harness.CACHE, "bench-vmlinux")
FIRMWARE = os.path.join(ROOT, "build/bench/first")
DRIVER = os.path.join(ROOT, "build/bench/driver")


class Missing(Exception):
    """This engine is not to be had here; says why."""


def cpu_seconds(pid):
    """Processor time of all threads of a process so far."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{task}/schedstat") as file:
                total += int(file.read().split()[0])
        except OSError:  # it has just ended
            pass
    return total / 1e9


def memory_beyond_guest(pid):
    """Resident bytes of a process without its guest's RAM, and its page tables. Memory that is mapped twice, as
    code that one mapping writes and another runs, counts once."""
    beyond = 0
    guest = shared = False
    with open(f"/proc/{pid}/smaps") as file:
        for line in file:
            head = re.match(r"([0-9a-f]+)-([0-9a-f]+) \S+ \S+ \S+ \S+\s*(.*)", line)
            if head:
                size = int(head.group(2), 16) - int(head.group(1), 16)
                name = head.group(3)
                # Ours is a memfd of this name, mapped as often as the engine likes; QEMU's is one anonymous mapping.
                guest = "memfd:pc.ram" in name or (not name and size == GUEST_BYTES)
                shared = "memfd:" in name
            elif not guest and line.startswith("Pss:" if shared else "Rss:"):
                beyond += int(line.split()[1]) * 1024
    with open(f"/proc/{pid}/status") as file:
        tables = int(re.search(r"VmPTE:\s+(\d+) kB", file.read()).group(1)) * 1024
    return beyond + tables


def cpio(files):
    """An archive the kernel unpacks: {path: (mode, bytes)}, with the folders they need."""
    entries = {}
    for path, entry in files.items():
        parts = path.split("/")
        for depth in range(1, len(parts)):
            entries["/".join(parts[:depth])] = (0o040755, b"")
        entries[path] = entry
    pieces = []
    entries["TRAILER!!!"] = (0, b"")
    for number, (path, (mode, data)) in enumerate(entries.items(), 1):
        name = path.encode() + b"\0"
        fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name), 0)
        head = b"070701" + b"".join(b"%08X" % field for field in fields) + name
        pieces += [head, b"\0" * (-len(head) % 4), data, b"\0" * (-len(data) % 4)]
    return b"".join(pieces)


class Jobs:
    """What is to be run, as an archive of the guest's files: busybox, the parts that are needed, the driver, the
    list of jobs. In a file of `folder`."""

    def __init__(self, folder, workloads, scale_of):
        lines = []
        files = {}
        self.names = [workload.name for workload in workloads]
        parts = {part for workload in workloads for part in workload.parts}
        for workload in workloads:
            amount = scale_of(workload)
            lines += ["\t".join(str(word) for word in line) for line in workload.job(amount)]
            files.update({path: (0o100644, data) for path, data in workload.files(amount).items()})
        files["bench/jobs"] = (0o100644, ("\n".join(lines) + "\n").encode())
        with open(DRIVER, "rb") as file:
            files["bench/driver"] = (0o100755, file.read())
        self.archives = [harness.INITRAMFS, *(os.path.join(harness.CACHE, f"bench-{part}.cpio")
                                              for part in sorted(parts))]
        self.own = os.path.join(folder, "jobs.cpio")
        with open(self.own, "wb") as file:
            file.write(cpio(files))
        self.initramfs = os.path.join(folder, "initramfs")
        with open(self.initramfs, "wb") as target:
            for archive in [*self.archives, self.own]:
                with open(archive, "rb") as file:
                    shutil.copyfileobj(file, target)
                target.write(b"\0" * (-target.tell() % 512))

    def unpack(self, folder):
        for archive in [*self.archives, self.own]:
            with open(archive, "rb") as file:
                subprocess.run(["cpio", "-idmu", "--quiet", "--no-preserve-owner"], stdin=file, cwd=folder, check=True)


def read_marks(results, next_mark, cpu_now):
    """Follows the driver's marks up to its end. next_mark() waits for a line; cpu_now() is the processor time so
    far, 0 for what the driver says itself."""
    name = start = cpu = seconds = used = None
    while (line := next_mark()) != "=end":
        moment = time.perf_counter()
        kind, words = line[:1], line[1:].split(" ")
        if kind == "<":
            name, start, cpu = words[0], moment, cpu_now()
            results[name] = {"missing": "it did not come to its end"}
            say(f" {name}")
        elif kind == "|":
            seconds = moment - start
            used = cpu_now() - cpu
        elif kind == ">":
            results[name] = {"seconds": seconds, "cpu": used or int(words[2]) / 1e9,
                             "guest_seconds": int(words[1]) / 1e9, "result": words[3]}
        elif kind == "?":
            results[words[0]] = {"missing": " ".join(words[1:])}


def say(text):
    """Progress, for whoever sits there."""
    print(text, end="", file=sys.stderr, flush=True)


class Guest:
    """A monitor with an engine."""

    def __init__(self, name, title, program, arguments):
        self.name = name
        self.title = title
        self.program = program
        self.arguments = arguments
        self.statistics = None

    def machine(self, *arguments):
        machine = harness.Machine("-m", "1G", "-cpu", "max", "-nic", "none", *self.arguments, *arguments,
                                  program=self.program)
        machine.started = time.perf_counter()
        return machine

    def start(self):
        """Seconds from the start of the process to the guest's first instructions. Raises Missing."""
        before = time.perf_counter()
        try:
            machine = self.machine("-display", "none", "-serial", "null", "-debugcon", "stdio", "-bios", FIRMWARE)
        except FileNotFoundError as reason:
            raise Missing(f"{self.program} is not there") from reason
        try:
            machine.expect("!")
            figures = {"seconds": time.perf_counter() - before, "cpu": cpu_seconds(machine.process.pid)}
            if b"running on" in machine.errors:  # another engine, said before the guest began
                raise Missing(machine.errors.decode(errors="replace").strip().splitlines()[0])
            return figures
        except harness.Failure as reason:
            text = machine.errors.decode(errors="replace").strip().splitlines()
            raise Missing(text[-1] if text else str(reason)) from reason
        finally:
            machine.end()

    def boot(self):
        """Seconds to the shell of `make run`, and memory then."""
        before = time.perf_counter()
        machine = self.machine("-nographic", "-kernel", harness.VMLINUZ, "-initrd", harness.INITRAMFS,
                               "-append", "console=ttyS0")
        machine.expect("Debian's kernel with a busybox shell")
        machine.expect("# ")
        pid = machine.process.pid
        figures = {"seconds": time.perf_counter() - before, "cpu": cpu_seconds(pid),
                   "memory": memory_beyond_guest(pid)}
        machine.end()
        return figures

    def run_jobs(self, jobs, results):
        """The peak of memory beyond the guest's RAM: looked at after each workload, and without the kernel and
        the files, which a monitor keeps for the guest's next reset and which nobody boots as large as this."""
        log = tempfile.NamedTemporaryFile(prefix="trapeze-bench-")
        machine = self.machine("-display", "none", "-serial", f"file:{log.name}", "-debugcon", "stdio",
                               "-kernel", KERNEL, "-initrd", jobs.initramfs,
                               "-append", "console=ttyS0 quiet panic=-1 rdinit=/bench/driver", "-no-reboot")
        pid = machine.process.pid
        peak = 0

        def next_mark():
            nonlocal peak
            line = machine.expect(r"([^\n]*)\n").group(1).decode(errors="replace")
            if line[:1] in (">", "="):
                peak = max(peak, memory_beyond_guest(pid))
            return line

        try:
            read_marks(results, next_mark, lambda: cpu_seconds(pid))
            self.statistics = machine.hmp("info jit").strip()
        except harness.Failure as reason:
            with open(log.name, errors="replace") as file:
                tail = "".join(file.readlines()[-20:])
            errors = machine.errors.decode(errors="replace")
            raise harness.Failure(f"{self.title}: {reason}\n{tail}{errors}") from reason
        finally:
            machine.end()
            log.close()
        return peak - os.path.getsize(KERNEL) - os.path.getsize(jobs.initramfs)


class Native:
    """The host, with the same files in a folder of its own."""

    name = "native"
    title = "native"
    statistics = None

    def start(self):
        return None

    def boot(self):
        return None

    def run_jobs(self, jobs, results):
        place = "/dev/shm" if os.access("/dev/shm", os.W_OK) and not noexec("/dev/shm") else None
        with tempfile.TemporaryDirectory(prefix="trapeze-bench-", dir=place) as tree:
            jobs.unpack(tree)
            os.makedirs(os.path.join(tree, "tmp"), exist_ok=True)
            enter = ["chroot", tree] if os.geteuid() == 0 else ["unshare", "--map-root-user", f"--root={tree}"]
            with subprocess.Popen([*enter, "/bench/driver", "/bench/jobs"], stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
                def next_mark():
                    line = process.stdout.readline()
                    if not line:
                        raise Missing(process.stderr.read().strip() or "the driver ended early")
                    return line.rstrip("\n")
                read_marks(results, next_mark, lambda: 0)
        return 0


def noexec(folder):
    return bool(os.statvfs(folder).f_flag & os.ST_NOEXEC)


def prepare(parts):
    """Builds and makes what all engines need, and those parts of the guest's files."""
    for maker in (["make-kernel"], ["make-initramfs"], ["make-bench", *parts]):
        subprocess.run([os.path.join(ROOT, "tools/guest", maker[0]), *maker[1:]], check=True)
    subprocess.run(["make", "--no-print-directory", "-s", "-C", os.path.join(HERE, "guest")], check=True)


def known(trapeze, extra):
    engines = {name: Guest(name, f"trapeze {name}", trapeze, ["-accel", name, *extra])
               for name in ("dbt", "interp", "kvm")}
    engines["tcg"] = Guest("tcg", "qemu tcg", "qemu-system-x86_64", ["-accel", "tcg"])
    engines["native"] = Native()
    return engines
