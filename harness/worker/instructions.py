"""Which instruction sets the libraries of this process use, asked of the libraries themselves.

Each is asked only where it is loaded. What cannot be asked is left out: an absent answer is no answer.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterable
from typing import Any

from harness.plan.instruction_sets import open_numpy


def observe_instructions(names: Iterable[str]) -> dict[str, str]:
    """What libraries say that they use, by the name of their switch."""
    found = {}
    for name in names:
        with contextlib.suppress(Exception):  # a private attribute that a version lacks, a library that is not there
            if answer := OBSERVERS[name]():
                found[name] = answer
    return found


def _ask_onednn() -> str:
    """The line `info,cpu,isa:` that oneDNN prints before its first primitive, once its verbose mode is on."""
    torch = sys.modules["torch"]

    def call() -> None:
        with torch.backends.mkldnn.verbose(1):
            torch.nn.functional.conv2d(torch.ones(2, 8, 9, 9), torch.ones(8, 8, 3, 3))  # ATen computes one image itself

    found = re.search(r"info,cpu,isa:(?:Intel )?(.+)", _listen(call))
    return found[1].strip() if found else ""


def _ask_aten() -> str:
    return str(sys.modules["torch"].backends.cpu.get_cpu_capability())


def _ask_mkl() -> str:
    """What oneMKL prints of the processor that it computes for."""
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
    """Kernels of all copies of OpenBLAS in this process: NumPy and SciPy bring one each."""
    from threadpoolctl import threadpool_info

    pools = [pool for pool in threadpool_info() if pool["internal_api"] == "openblas"]
    return ", ".join(sorted({str(pool["architecture"]) for pool in pools if pool.get("architecture")}))


def _ask_numpy() -> str:
    """The highest feature that is on, of those that NumPy chooses between."""
    numpy = open_numpy()
    features: dict[str, bool] = numpy.__cpu_features__
    on = [name for name in (*numpy.__cpu_baseline__, *numpy.__cpu_dispatch__) if features.get(name)]
    return on[-1] if on else ""


OBSERVERS: dict[str, Callable[[], str]] = {
    "onednn": _ask_onednn, "aten": _ask_aten, "mkl": _ask_mkl, "openblas": _ask_openblas, "numpy": _ask_numpy,
}  # fmt: skip


def _listen(call: Callable[[], Any]) -> str:
    """What a call prints from C on standard output, which is buffered there."""
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
