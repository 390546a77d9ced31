# SPDX-License-Identifier: GPL-2.0-or-later
"""What the guest tests share: a machine to start, its console, its monitor, pictures of its screen.

A test file is a program of functions marked @test(weight); `FILE --list` names them with their
weights (about the seconds each takes), `FILE NAME` runs one. Exit status 0: passed, 77: skipped with
the reason on the last line, else failed. Those marked @test(weight, slow=True) are listed with the
word slow behind: `make test` leaves them to `make test-guests`. Those marked @test(weight,
engine=False) never run a guest, or choose the engine themselves, and are listed with the word once:
all others are run under each engine. With lockstep=True also, slowly, with the translator compared
with the interpreter block by block; the process ends at the first difference.

$ENGINE is what machines run under: interp, dbt, or lockstep; not set: trapeze's own choice.

$TRAPEZE is the program under test: build/trapeze, or qemu-system-x86_64 to try a test against it.

Nothing here waits for a time and calls it a failure: expect() waits until the text comes or the
machine has ended. tools/run-tests stops what hangs with SIGTERM; the end of the guest's output is
then printed, as for every failure.
"""
import lzma
import os
import pty
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
import traceback
import zlib

ROOT = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
CACHE = os.environ.get("CACHE", os.path.join(ROOT, "cache"))
TRAPEZE = os.environ.get("TRAPEZE", os.path.join(ROOT, "build/trapeze"))
ENGINE = os.environ.get("ENGINE")
IS_QEMU = "qemu" in os.path.basename(TRAPEZE)
VMLINUZ = os.path.join(CACHE, "vmlinuz")
INITRAMFS = os.path.join(CACHE, "initramfs")
DEBIAN_DISK = os.path.join(CACHE, "debian.raw")
PARTITION_OFFSET = 2048 * 512  # of the file system in DEBIAN_DISK
HERE = os.path.dirname(os.path.abspath(__file__))

tests = {}
machines = []


class Failure(Exception):
    """The machine did not do what it should."""


class Skip(Exception):
    """The host lacks what the test needs."""


def test(weight, slow=False, engine=True, lockstep=False):
    marks = [word for word, wanted in (("slow", slow), ("once", not engine), ("lockstep", lockstep)) if wanted]

    def note(function):
        tests[function.__name__] = (weight, function, marks)
        return function
    return note


def check(condition, message):
    if not condition:
        raise Failure(message)


# What the kernel may say on the console in the middle of a program's output.
KERNEL_MESSAGE = rb"\r*\n?\[ *\d+\.\d+\] [^\n]*\n"


def interrupted(text):
    """A regular expression for text that messages of the kernel may have got into."""
    return (b"(?:%s)*" % KERNEL_MESSAGE).join(re.escape(text[i:i + 1].encode()) for i in range(len(text)))


class Machine:
    """One running machine. Its standard input and output are pipes, or a terminal (tty=True)."""

    def __init__(self, *arguments, tty=False, monitor=True, program=None, **options):
        self.folder = tempfile.mkdtemp(prefix="trapeze-test-")
        command = [program or TRAPEZE] + [str(a) for a in arguments]
        if ENGINE and "-accel" not in command and not program and not IS_QEMU:
            # In front: the last option of a test may lack its argument.
            command[1:1] = ["-accel", "dbt", "-d", "lockstep"] if ENGINE == "lockstep" else ["-accel", ENGINE]
        self.monitor_path = None
        self.monitor_socket = None
        if monitor:
            self.monitor_path = os.path.join(self.folder, "monitor")
            command += ["-monitor", f"unix:{self.monitor_path},server,nowait"]
        self.command = command
        self.output = b""  # all of standard output (and of standard error on a terminal)
        self.errors = b""  # standard error
        self.position = 0  # expect() has read up to here
        self.changed = threading.Condition()
        self.open_streams = 0
        if tty:
            self.terminal, self.slave = pty.openpty()
            self.terminal_before = termios.tcgetattr(self.slave)
            self.process = subprocess.Popen(command, stdin=self.slave, stdout=self.slave,
                                            stderr=self.slave, start_new_session=True, **options)
            self.input = self.terminal
            self._read(self.terminal, "output")
        else:
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                            stderr=subprocess.PIPE, start_new_session=True,
                                            **options)
            self.input = self.process.stdin.fileno()
            self._read(self.process.stdout.fileno(), "output")
            self._read(self.process.stderr.fileno(), "errors")
        machines.append(self)

    def _read(self, fd, name):
        self.open_streams += 1

        def loop():
            while True:
                ready = select.select([fd], [], [], 0.2)[0]
                if not ready and self.process.poll() is not None:
                    break  # a terminal whose other end we hold open never says end of file
                try:
                    data = os.read(fd, 65536) if ready else None
                except OSError:
                    data = b""
                if data == b"":
                    break
                if data:
                    with self.changed:
                        setattr(self, name, getattr(self, name) + data)
                        self.changed.notify_all()
            with self.changed:
                self.open_streams -= 1
                self.changed.notify_all()
        threading.Thread(target=loop, daemon=True).start()

    def expect(self, *patterns):
        """Waits for the first of the regular expressions after what was expected before; its match.
        Fails when the machine ends without it."""
        expressions = [re.compile(p.encode() if isinstance(p, str) else p) for p in patterns]
        with self.changed:
            while True:
                found = [m for m in (e.search(self.output, self.position) for e in expressions) if m]
                if found:
                    match = min(found, key=lambda m: m.start())
                    self.position = match.end()
                    return match
                if not self.open_streams:
                    raise Failure(f"ended with status {self.process.wait()} before {patterns} came")
                self.changed.wait(1)

    def send(self, text):
        os.write(self.input, text.encode() if isinstance(text, str) else text)

    def line(self, text):
        self.send(text + "\n")

    def command_output(self, text, prompt="# "):
        """Types a line at a shell whose echo is on and waits for the next prompt; its exit status."""
        mark = f"mark{len(self.output)}"
        # The echo of the line holds the pieces apart, so that only the output matches.
        self.line(f"{text}; echo {mark[:4]}''{mark[4:]}=$?.")
        status = self.expect(interrupted(mark + "=") + rb"((?:\d|%s)+)\." % KERNEL_MESSAGE)
        self.expect(interrupted(prompt))
        return int(re.sub(KERNEL_MESSAGE, b"", status.group(1)))

    def wait(self):
        """The exit status; negative: ended by a signal. Waits for the last of its output too."""
        status = self.process.wait()
        with self.changed:
            while self.open_streams:
                self.changed.wait(1)
        return status

    def running(self):
        return self.process.poll() is None

    def hmp(self, command):
        """One monitor command; what it prints."""
        if not self.monitor_socket:
            while not os.path.exists(self.monitor_path):
                check(self.running(), f"ended with status {self.process.poll()} without a monitor")
                time.sleep(0.05)
            self.monitor_socket = socket.socket(socket.AF_UNIX)
            while True:
                try:
                    self.monitor_socket.connect(self.monitor_path)
                    break
                except ConnectionRefusedError:  # bound but not yet listening
                    check(self.running(), "ended before its monitor listened")
                    time.sleep(0.05)
            self._monitor_answer()
        self.monitor_socket.sendall(command.encode() + b"\n")
        answer = self._monitor_answer()
        # What comes first is the echo of the command, character by character.
        return answer.split("\n", 1)[1] if "\n" in answer else ""

    def _monitor_answer(self):
        data = b""
        while not re.search(rb"(^|\n)\((qemu|trapeze)\) $", data):
            piece = self.monitor_socket.recv(65536)
            if not piece:
                raise Failure(f"the monitor closed; it had said {data!r}")
            data += piece
        return data[:data.rindex(b"(")].decode(errors="replace").replace("\r", "")

    def quit(self):
        """`quit` in the monitor; the exit status."""
        try:
            self.hmp("quit")
        except (Failure, OSError):
            pass  # it closes the line as it goes
        return self.wait()

    def picture(self):
        path = os.path.join(self.folder, "screen.png")
        if os.path.exists(path):
            os.unlink(path)
        said = self.hmp(f"screendump {path} -f png")
        check(os.path.exists(path), f"screendump wrote no file: {said!r}")
        return Picture(path)

    def compare(self, name, text_rows, cell_width=9):
        """Waits until the screen stands still, then holds it against reference/NAME.png, which
        REMAKE=1 in the environment makes instead."""
        last = None
        while True:
            picture = self.picture()
            if last and (last.width, last.height) == (picture.width, picture.height) and \
                    not picture.differences(last, text_rows, cell_width):
                break
            last = picture
            time.sleep(1)
        reference = os.path.join(HERE, "reference", name + ".png")
        if os.environ.get("REMAKE"):
            shutil.copy(os.path.join(self.folder, "screen.png"), reference)
            return
        cells = picture.differences(Picture(reference), text_rows, cell_width)
        if cells:
            kept = os.path.join("/tmp", f"trapeze-{name}-differs.png")
            shutil.copy(os.path.join(self.folder, "screen.png"), kept)
        check(not cells, f"{len(cells)} characters differ from {reference}, at (column, row) "
                         f"{sorted(cells)[:10]}; the screen is in {cells and kept}")

    def type(self, text):
        names = {" ": "spc", "\n": "ret", "-": "minus", ".": "dot", "/": "slash", "=": "equal"}
        for character in text:
            name = names.get(character, character.lower())
            self.hmp("sendkey " + ("shift-" + name if character.isupper() else name))

    def end(self):
        if self.running():
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def describe(self):
        tail = self.output[-3000:].decode(errors="replace").replace("\r", "")
        tail = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", tail)
        text = f"command: {' '.join(self.command)}\n"
        if not self.running():
            text += f"exit status: {self.process.poll()}\n"
        if self.errors:
            text += "standard error:\n" + self.errors[-2000:].decode(errors="replace") + "\n"
        return text + "end of the guest's output:\n" + "\n".join(tail.splitlines()[-30:])


class Picture:
    """A PNG of 8 bits a sample as rows of (red, green, blue)."""

    def __init__(self, path):
        with open(path, "rb") as file:
            data = file.read()
        check(data.startswith(b"\x89PNG\r\n\x1a\n"), f"{path} is no PNG")
        at, packed, palette = 8, b"", b""
        while at < len(data):
            length, kind = struct.unpack_from(">I4s", data, at)
            body = data[at + 8:at + 8 + length]
            crc, = struct.unpack_from(">I", data, at + 8 + length)
            check(crc == zlib.crc32(kind + body), f"{path}: {kind} chunk is damaged")
            if kind == b"IHDR":
                self.width, self.height, depth, colour, _, _, interlace = \
                    struct.unpack(">IIBBBBB", body)
                check(depth == 8 and not interlace, f"{path}: unexpected form")
            elif kind == b"PLTE":
                palette = body
            elif kind == b"IDAT":
                packed += body
            at += 12 + length
        samples = {0: 1, 2: 3, 3: 1, 6: 4}[colour]
        rows = self._unfilter(zlib.decompress(packed), samples)
        if colour == 3:
            self.rows = [[tuple(palette[3 * i:3 * i + 3]) for i in row] for row in rows]
        elif colour == 0:
            self.rows = [[(v, v, v) for v in row] for row in rows]
        else:
            self.rows = [[tuple(row[i:i + 3]) for i in range(0, len(row), samples)] for row in rows]

    def _unfilter(self, raw, samples):
        stride = self.width * samples
        previous = bytearray(stride)
        rows = []
        for y in range(self.height):
            kind = raw[y * (stride + 1)]
            row = bytearray(raw[y * (stride + 1) + 1:(y + 1) * (stride + 1)])
            if kind:
                for i in range(stride):
                    left = row[i - samples] if i >= samples else 0
                    up = previous[i]
                    corner = previous[i - samples] if i >= samples else 0
                    if kind == 1:
                        guess = left
                    elif kind == 2:
                        guess = up
                    elif kind == 3:
                        guess = (left + up) // 2
                    else:
                        distance = [(abs(up - corner), 0, left), (abs(left - corner), 1, up),
                                    (abs(left + up - 2 * corner), 2, corner)]
                        guess = min(distance)[2]
                    row[i] = (row[i] + guess) & 255
            rows.append(bytes(row))
            previous = row
        return rows

    def lit(self, x, y, width, height):
        """Is anything but black in this rectangle?"""
        return any(any(max(p) > 64 for p in row[x:x + width]) for row in self.rows[y:y + height])

    def differences(self, other, text_rows, cell_width=9):
        """The character cells (9 x 16) of these text rows that differ, as (column, row), apart from
        what a text cursor (the lowest lines of a cell) makes. Colours may differ by a shade: boards
        widen the 6 bits of a VGA colour in more than one way."""
        if (self.width, self.height) != (other.width, other.height):
            raise Failure(f"the screen is {self.width} x {self.height}, "
                          f"not {other.width} x {other.height}")
        cells = set()
        for row in text_rows:
            for y in range(row * 16, row * 16 + 13):
                if self.rows[y] == other.rows[y]:
                    continue
                for x, (one, two) in enumerate(zip(self.rows[y], other.rows[y])):
                    if any(abs(a - b) > 8 for a, b in zip(one, two)):
                        cells.add((x // cell_width, row))
        return sorted(cells)


GRUB_ISO = "/usr/lib/grub-rescue/grub-rescue-cdrom.iso"


def grub_menu(*options):
    """The GRUB rescue CD at its menu, with the second entry chosen."""
    if not os.path.exists(GRUB_ISO):
        raise Skip(f"{GRUB_ISO} is missing (package grub-rescue-pc)")
    machine = Machine(*options, "-cdrom", GRUB_ISO, "-display", "none", "-serial", "null")
    # The menu's frame and the help below it. The machine would leave the menu by itself after 30 s:
    # a key stops that.
    while True:
        check(machine.running(), "the machine ended")
        picture = machine.picture()
        if picture.width == 720 and picture.lit(9, 17 * 16, 9, 16) and \
                picture.lit(60, 19 * 16, 500, 16):
            break
        time.sleep(0.5)
    machine.hmp("sendkey down")
    # Row 1 has GRUB's version, which is Debian's to change.
    machine.compare("grub-menu", range(2, 25))
    return machine


def run(*arguments, **options):
    """A machine that should end by itself: (status, standard output, standard error)."""
    machine = Machine(*arguments, monitor=False, **options)
    status = machine.wait()
    return status, machine.output.decode(errors="replace"), machine.errors.decode(errors="replace")


def workspace():
    """A folder for this test's files; removed at the end."""
    return _workspace.name


_workspace = tempfile.TemporaryDirectory(prefix="trapeze-test-")


def scratch_disk(source=DEBIAN_DISK):
    """A copy of an image that the test may write to."""
    need(source)
    copy = os.path.join(workspace(), os.path.basename(source))
    subprocess.run(["cp", "--sparse=always", "--reflink=auto", source, copy], check=True)
    return copy


def partition_of(disk):
    """A copy of the disk's file system alone: e2fsck cannot repair one inside a larger file."""
    copy = os.path.join(workspace(), "partition")
    subprocess.run(["dd", f"if={disk}", f"of={copy}", "bs=1M", f"skip={PARTITION_OFFSET >> 20}",
                    "conv=sparse", "status=none"], check=True)
    return copy


def unpacked_kernel(bzimage=VMLINUZ):
    """The ELF image packed (by xz) in Debian's bzImage: it has the note for PVH."""
    need(bzimage)
    with open(bzimage, "rb") as file:
        image = file.read()
    setup_sectors = image[0x1f1] or 4
    offset, length = struct.unpack_from("<II", image, 0x248)
    start = (setup_sectors + 1) * 512 + offset
    path = os.path.join(workspace(), os.path.basename(bzimage) + ".elf")
    if not os.path.exists(path):
        with open(path, "wb") as file:
            file.write(lzma.LZMADecompressor().decompress(image[start:start + length]))
    return path


def file_in_disk(disk, path, to, offset=PARTITION_OFFSET):
    """Takes a file out of the Debian disk's file system."""
    subprocess.run(["/sbin/debugfs", "-R", f"dump {path} {to}", f"{disk}?offset={offset}"],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    check(os.path.exists(to), f"{path} is not in {disk}")
    with open(to, "rb") as file:
        return file.read()


def names_in_disk(disk, folder):
    listing = subprocess.run(["/sbin/debugfs", "-R", f"ls -p {folder}",
                              f"{disk}?offset={PARTITION_OFFSET}"], check=True,
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    return [line.split("/")[5] for line in listing.splitlines() if line.count("/") >= 6]


def e2fsck(disk, mode, offset=PARTITION_OFFSET):
    """Checks the file system; "-fn" changes nothing. (status, output)"""
    result = subprocess.run(["/sbin/e2fsck", mode, f"{disk}?offset={offset}"],
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, check=False)
    return result.returncode, result.stdout


def assemble(name, *options, **defines):
    """tests/guest/asm/NAME.asm as a disk image: a boot sector. options are nasm's."""
    image = os.path.join(workspace(), os.path.basename(name) + ".raw")
    definitions = [f"-D{key}={value}" for key, value in defines.items()]
    subprocess.run(["nasm", "-f", "bin", *options, *definitions, "-I", os.path.join(HERE, "asm/"), "-o", image,
                    os.path.join(HERE, "asm", name + ".asm")], check=True)
    return image


def need(path):
    if not os.path.exists(path):
        raise Failure(f"{path} is missing: tools/guest/make-all makes it")


def stopped(_signal, _frame):
    raise Failure("stopped from outside: it hung")


def main():
    if len(sys.argv) == 2 and sys.argv[1] == "--list":
        for name, (weight, _, marks) in tests.items():
            print(weight, name, *marks)
        return
    if len(sys.argv) != 2 or sys.argv[1] not in tests:
        sys.exit(f"usage: {sys.argv[0]} --list | {' | '.join(tests)}")
    signal.signal(signal.SIGTERM, stopped)
    status = 0
    try:
        tests[sys.argv[1]][1]()
        for machine in machines:  # the engine that was asked for is not usable here
            fallback = re.search(rb"trapeze: (-accel .*running on the interpreter.*)", machine.errors + machine.output)
            if ENGINE and fallback:
                raise Skip(fallback.group(1).decode(errors="replace"))
    except Skip as reason:
        print(reason)
        status = 77
    except Exception as problem:  # pylint: disable=broad-except
        if not isinstance(problem, Failure):
            traceback.print_exc()
        for machine in machines:
            print(machine.describe())
        print(f"failed: {problem}")
        status = 1
    finally:
        for machine in machines:
            machine.end()
        _workspace.cleanup()
    sys.stdout.flush()
    os._exit(status)
