"""Find out which instruction sets the libraries of this process use, by asking the libraries themselves.

Only loaded libraries are asked. One that does not answer is left out of the result.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterable

from harness.plan.instruction_sets import open_numpy
from harness.problems.arrays import Call


def observe_instructions(names: Iterable[str]) -> dict[str, str]:
    """Return the instruction set that each library reports, by the name of its switch (a key of OBSERVERS)."""
    found = {}
    for name in names:
        with contextlib.suppress(Exception):  # a version without the private attribute, or a library not installed
            if answer := OBSERVERS[name]():
                found[name] = answer
    return found


def _ask_onednn() -> str:
    """Return the value of the line `info,cpu,isa:`, which oneDNN prints before its first primitive in verbose mode."""
    torch = sys.modules["torch"]

    def call() -> None:
        with torch.backends.mkldnn.verbose(1):
            torch.nn.functional.conv2d(torch.ones(2, 8, 9, 9), torch.ones(8, 8, 3, 3))  # ATen computes one image itself

    found = re.search(r"info,cpu,isa:(?:Intel )?(.+)", _listen(call))
    return found[1].strip() if found else ""


def _ask_aten() -> str:
    return str(sys.modules["torch"].backends.cpu.get_cpu_capability())


def _ask_mkl() -> str:
    """Return the processor architecture that oneMKL prints in verbose mode."""
    torch = sys.modules["torch"]
    if not torch.backends.mkl.is_available():
        return ""

    def call() -> None:
        with torch.backends.mkl.verbose(1):
            torch.mm(torch.ones(8, 8, dtype=torch.float64), torch.ones(8, 8, dtype=torch.float64))

    found = re.search(r"for Intel\(R\) 64 architecture (.+?)(?: enabled)? processors", _listen(call))
    short = re.search(r"\(Intel\(R\) (.+)\)", found[1]) if found else None
    return short[1] if short else found[1] if found else ""


def _ask_openblas() -> str:
    """Return the kernels of all copies of OpenBLAS in this process; NumPy and SciPy each have their own copy."""
    from threadpoolctl import threadpool_info

    pools = [pool for pool in threadpool_info() if pool["internal_api"] == "openblas"]
    return ", ".join(sorted({str(pool["architecture"]) for pool in pools if pool.get("architecture")}))


def _ask_numpy() -> str:
    """Return the highest enabled feature among those for which NumPy has code."""
    numpy = open_numpy()
    features: dict[str, bool] = numpy.__cpu_features__
    on = [name for name in (*numpy.__cpu_baseline__, *numpy.__cpu_dispatch__) if features.get(name)]
    return on[-1] if on else ""


OBSERVERS: dict[str, Callable[[], str]] = {
    "onednn": _ask_onednn, "aten": _ask_aten, "mkl": _ask_mkl, "openblas": _ask_openblas, "numpy": _ask_numpy,
}  # fmt: skip


def _listen(call: Call) -> str:
    """Return what a call prints to standard output from C, whose buffer is flushed before and after."""
    libc = ctypes.CDLL(None)
    with tempfile.TemporaryFile() as file:
        sys.stdout.flush()
        libc.fflush(None)
        kept = os.dup(1)
        try:
            os.dup2(file.fileno(), 1)
            call()
            libc.fflush(None)
        finally:
            os.dup2(kept, 1)
            os.close(kept)
        file.seek(0)
        return file.read().decode(errors="replace")
