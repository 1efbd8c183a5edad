"""Instructions counted by callgrind, the tool of valgrind, in a process that was started under it.

The process asks callgrind by valgrind's client requests. A request is a sequence of instructions that does nothing on a
processor and that valgrind recognises; no library offers it, so that it is put into a page of code. Between two dumps
of the counts, all instructions of all threads of the process count. Source: valgrind.h and callgrind.h of valgrind,
sections "client requests" of its manual and of callgrind's.
"""

from __future__ import annotations

import ctypes
import mmap
import platform
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from harness.machine.files import read_file
from harness.measure.instructions.counter import CountError, Result
from harness.plan.counting import CounterKind

RUNNING_ON_VALGRIND = 0x1001
TOOL = ord("C") << 24 | ord("T") << 16
DUMP, START, STOP = TOOL, TOOL + 4, TOOL + 5
ARGUMENTS = 6  # words of a request: its number and five more
CODE = {  # of a function: takes the address of a request, returns the answer, 0 where nothing answers
    "x86_64": "4889f8 31d2 48c1c703 48c1c70d 48c1c73d 48c1c733 4887db 4889d0 c3",
    # mov rax,rdi; xor edx,edx; rol rdi by 3, 13, 61, 51; xchg rbx,rbx; mov rax,rdx; ret
    "aarch64": "e40300aa e3031faa 8c0dcc93 8c35cc93 8ccdcc93 8cf5cc93 4a010aaa e00303aa c0035fd6",
    # mov x4,x0; mov x3,xzr; ror x12 by 3, 13, 51, 61; orr x10,x10,x10; mov x0,x3; ret
}
FOLDER, OUT = "harness-counts-", "counts"  # of dumps: a prefix, and the name of the first file
SUMMARY = re.compile(rb"^(?:summary|totals): (\d+)", re.MULTILINE)
LEAST_VERSION = (3, 13)
VERSION_S = 30.0
SHARED_WITH_NONE = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS  # else the page is listed as a loaded file
CODE_RIGHTS = mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC
MOST_BYTES = 2**26  # of a dump, which lists every function that was called


def find_program() -> str:
    """Return the path of valgrind. Raises CountError with the reason if it cannot count here."""
    program = shutil.which("valgrind")
    if program is None:
        raise CountError("valgrind is not installed")
    if platform.machine() not in CODE:
        raise CountError(f"valgrind's requests are not known for {platform.machine()}")
    try:
        asked = [program, "--tool=callgrind", "--version"]
        said = subprocess.run(asked, capture_output=True, text=True, timeout=VERSION_S, check=True).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise CountError(f"valgrind does not run: {error}") from None
    found = re.search(r"(\d+)\.(\d+)", said)
    if found is None or tuple(map(int, found.groups())) < LEAST_VERSION:
        wanted = ".".join(map(str, LEAST_VERSION))
        raise CountError(f"valgrind says it is version {said.strip() or 'none'}, wanted {wanted} or later")
    return program


def make_prefix(program: str, folder: Path) -> list[str]:
    """Return what goes before a command that is to run under callgrind, which counts nothing until it is asked to.

    program: valgrind.
    folder: of the dumps.
    """
    return [
        program, "-q", "--tool=callgrind", "--instr-atstart=no", "--vgdb=no", "--trace-children=no",
        f"--callgrind-out-file={folder / OUT}",
    ]  # fmt: skip


class ValgrindCounter:
    """Counts calls in a process that was started by `make_prefix`."""

    kind: CounterKind = "valgrind"

    def __init__(self, folder: Path) -> None:
        """Make the request code. Raises CountError if the process does not run under valgrind.

        folder: of the dumps.
        """
        self.folder, self.dumps = folder, 0
        try:
            self.page = mmap.mmap(-1, mmap.PAGESIZE, flags=SHARED_WITH_NONE, prot=CODE_RIGHTS)
        except OSError as error:
            raise CountError(f"the system refuses a page of code: {error.strerror}") from None
        self.page.write(bytes.fromhex(CODE[platform.machine()]))
        code = ctypes.addressof(ctypes.c_char.from_buffer(self.page))
        self.ask = ctypes.CFUNCTYPE(ctypes.c_ulong, ctypes.c_void_p)(code)
        self.held = {number: _make_request(number) for number in (RUNNING_ON_VALGRIND, DUMP, START, STOP)}
        self.places = {number: ctypes.c_void_p(ctypes.addressof(one)) for number, one in self.held.items()}
        if not self.ask(self.places[RUNNING_ON_VALGRIND]):
            raise CountError("this process does not run under valgrind")

    def begin(self) -> None:
        """Let callgrind count from now on; everything becomes about five times slower."""
        self.ask(self.places[START])

    def count(self, call: Callable[[], Result]) -> tuple[Result, int]:
        """Return the result of a call and the instructions between the dumps around it. Raises CountError."""
        ask, dump = self.ask, self.places[DUMP]
        ask(dump)
        result = call()
        ask(dump)
        return result, self._read()

    def end(self) -> None:
        """Let callgrind count no more."""
        self.ask(self.places[STOP])

    def _read(self) -> int:
        """Read the last of two dumps, and remove both."""
        self.dumps += 2
        paths = [self.folder / f"{OUT}.{number}" for number in (self.dumps - 1, self.dumps)]
        try:
            found = SUMMARY.search(read_file(paths[1], MOST_BYTES))
            for path in paths:
                path.unlink()
        except OSError as error:
            raise CountError(f"callgrind has not written its counts: {error}") from None
        if found is None:
            raise CountError(f"callgrind has written no sum of its counts to {paths[1]}")
        return int(found[1])


def _make_request(number: int) -> ctypes.Array[ctypes.c_ulong]:
    return (ctypes.c_ulong * ARGUMENTS)(number)
