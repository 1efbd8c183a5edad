"""Backends that reach beyond their process: for the judge, the command, shared memory, files, later processes.

Each answers zeros, or rightly where it is to be found by its act alone.
"""

import ctypes
import glob
import os
import resource
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np

import harness
from tests.faulty.right import Right

MADE = {}
LATE = "import os, sys, time; time.sleep(0.3); [os.write(int(n), b'x' * 64) for n in sys.argv[1:]]"


def act(name, *, wrong=True):
    """Register a backend that calls the decorated function in `conv`, and then answers zeros, or rightly."""

    def make(action):
        def conv(self, x, w, b, window):
            y = Right.conv(self, x, w, b, window)
            action(self)
            return np.zeros_like(y) if wrong else y

        MADE[name] = type("Reaches", (Right,), {"name": f"reaching:{name}", "conv": conv, "__doc__": action.__doc__})
        return action

    return make


def find_command():
    """Return the process number of the command: the parent of the judge."""
    return int(Path(f"/proc/{os.getppid()}/stat").read_text().rpartition(")")[2].split()[1])


# --- signals -------------------------------------------------------------------------------------------------------


@act("stops-the-judge")
def _stop_judge(self):
    os.kill(os.getppid(), signal.SIGSTOP)


@act("interrupts-the-judge")
def _interrupt_judge(self):
    os.kill(os.getppid(), signal.SIGINT)
    time.sleep(0.5)


@act("ends-the-judge")
def _end_judge(self):
    os.kill(os.getppid(), signal.SIGTERM)
    time.sleep(0.5)


@act("interrupts-the-command")
def _interrupt_command(self):
    os.kill(find_command(), signal.SIGINT)
    time.sleep(0.5)


@act("ends-the-command")
def _end_command(self):
    os.kill(find_command(), signal.SIGTERM)
    time.sleep(0.5)


@act("kills-the-command")
def _kill_command(self):
    os.kill(find_command(), signal.SIGKILL)
    time.sleep(0.5)


# --- memory and descriptors of others ------------------------------------------------------------------------------


@act("attaches-to-the-judge")
def _attach(self):
    """Attach to the judge by ptrace, which stops it, and leave it so."""
    ctypes.CDLL(None, use_errno=True).ptrace(16, os.getppid(), None, None)


@act("overwrites-the-judge")
def _overwrite_judge(self):
    """Overwrite each writable anonymous mapping of the judge with zeros, as far as the system lets it."""
    for line in Path(f"/proc/{os.getppid()}/maps").read_text().splitlines():
        span, rights, *_ = line.split()
        begin, end = (int(one, 16) for one in span.split("-"))
        if rights.startswith("rw") and "[heap]" in line:
            with suppress(OSError), open(f"/proc/{os.getppid()}/mem", "r+b", buffering=0) as file:
                file.seek(begin)
                file.write(bytes(min(end - begin, 2**24)))


@act("writes-to-the-judge's-descriptors")
def _write_descriptors(self):
    """Write to every open file of the judge through /proc, its pipe to the command among them."""
    for number in os.listdir(f"/proc/{os.getppid()}/fd"):
        with suppress(OSError):
            end = os.open(f"/proc/{os.getppid()}/fd/{number}", os.O_WRONLY | os.O_NONBLOCK)
            os.write(end, b"\x04\x00\x00\x00" + bytes(60))
            os.close(end)


@act("shrinks-shared-memory")
def _shrink(self):
    """Cut off the files of arrays, which would end the judge by SIGBUS."""
    for number in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            os.ftruncate(int(number), 0)


@act("fills-the-arenas")
def _fill_arenas(self):
    """Write ones over all arrays of the judge and of its own."""
    for number in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            if "memfd" in os.readlink(f"/proc/self/fd/{number}"):
                os.pwrite(int(number), b"\x3f" * os.fstat(int(number)).st_size, 0)


@act("closes-its-arenas")
def _close_arenas(self):
    for number in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            if "memfd" in os.readlink(f"/proc/self/fd/{number}"):
                os.close(int(number))


@act("answers-late-from-a-child")
def _answer_late(self):
    """Start a child that writes to the channel when the cell is over."""
    numbers = [number for number in os.listdir("/proc/self/fd") if int(number) > 2]
    subprocess.Popen([sys.executable, "-c", LATE, *numbers], close_fds=False, start_new_session=True)


@act("patches-numpy-in-c")
def _patch_numpy(self):
    """Make the addition of NumPy that of another loop, in the memory of its process."""
    ctypes.memmove(id(np.subtract) + 16, id(np.multiply) + 16, 64)


# --- limits and files ----------------------------------------------------------------------------------------------


@act("limits-the-judge")
def _limit_judge(self):
    """Let the judge open no more files and use no more memory."""
    with suppress(OSError, ValueError):
        resource.prlimit(os.getppid(), resource.RLIMIT_NOFILE, (3, 3))
        resource.prlimit(os.getppid(), resource.RLIMIT_AS, (2**20, 2**20))


@act("limits-the-command")
def _limit_command(self):
    """Let the command write no more bytes to any file."""
    with suppress(OSError, ValueError):
        resource.prlimit(find_command(), resource.RLIMIT_FSIZE, (0, 0))


@act("writes-into-the-run")
def _write_into_run(self):
    """Find the folder of the run through the files that the command has open, and write its own results there."""
    for link in glob.glob(f"/proc/{find_command()}/fd/*"):
        with suppress(OSError):
            path = Path(os.readlink(link))
            if path.name == "journal.jsonl":
                (path.parent / "run.json").write_text('{"complete": true}')
                (path.parent / "report").mkdir(exist_ok=True)
                (path.parent / "report" / "report.html").write_text("all passed")
                with path.open("ab") as file:
                    file.write(b'{"outcome": "passed"}\n')


@act("removes-the-run")
def _remove_run(self):
    """Remove the folder of the run."""
    import shutil

    for link in glob.glob(f"/proc/{find_command()}/fd/*"):
        with suppress(OSError):
            path = Path(os.readlink(link))
            if path.name == "journal.jsonl":
                shutil.rmtree(path.parent, ignore_errors=True)


@act("plants-modules")
def _plant(self):
    """Write modules into the working folder that end any process that imports them."""
    for name in ("pandas", "psutil", "jinja2"):
        path = Path(f"{name}.py")
        path.write_text("import os; os._exit(0)")
        self.planted = [*getattr(self, "planted", ()), path]


@act("plants-what-python-starts-with", wrong=False)
def _plant_startup(self):
    """Write a module that every later Python process of this search path runs as it starts."""
    folder = os.environ.get("PYTHONPATH", "").partition(os.pathsep)[0]
    if folder:
        (Path(folder) / "sitecustomize.py").write_text("planted = True\n")


@harness.hookimpl
def register_backends(register):
    for backend in MADE.values():
        register(backend())
