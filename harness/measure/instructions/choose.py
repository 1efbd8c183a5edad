"""The counter that this machine offers, and the counts of calls with the counter's own share taken off."""

from __future__ import annotations

import gc
import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.errors import UsageError
from harness.machine.diagnosis import Finding
from harness.machine.system import read_flags
from harness.measure.instructions import kernel, valgrind
from harness.measure.instructions.counter import Counter, CountError, Result
from harness.plan.counting import DELTA, CounterKind, Counting

OWN_READINGS = 5
UNKNOWN_TO_VALGRIND = {"avx512": "AVX-512", "amx": "AMX"}  # by how their flags begin
INSTALL = "install valgrind (apt install valgrind), or count on a machine that shows the counters of its processor"


@dataclass(frozen=True, slots=True)
class Offer:
    """The counter of this machine; `kind` is None if there is none, for the reasons in `obstacles`."""

    kind: CounterKind | None
    obstacles: tuple[str, ...] = ()


def find_offer() -> Offer:
    """Find the counter of this machine: the kernel's, else valgrind."""
    if (why := kernel.find_obstacle()) is None:
        return Offer("kernel")
    obstacles = (f"kernel: {why}",)
    try:
        valgrind.find_program()
    except CountError as error:
        return Offer(None, (*obstacles, f"valgrind: {error}"))
    return Offer("valgrind", obstacles)


def need_counter() -> CounterKind:
    """Return the kind of counter that this machine offers. Raises UsageError if there is none."""
    offer = find_offer()
    if offer.kind is None:
        raise UsageError(f"metric instructions: nothing counts them here ({'; '.join(offer.obstacles)}); {INSTALL}")
    return offer.kind


def choose_counting(delta: float | None = None, *, compares: bool = False, armed: bool = False) -> Counting:
    """Return how instructions are counted here. Raises UsageError if nothing counts them.

    delta: relative change that counts; None for the default. compares, armed: see `Counting`.
    """
    kind = need_counter()
    return Counting(
        counter=kind, delta=DELTA if delta is None else delta, compares=compares, armed=armed,
        remark=remark_on(kind, read_flags()),
    )  # fmt: skip


def remark_on(kind: CounterKind, flags: frozenset[str] | None) -> str | None:
    """Return what libraries cannot use while this counter counts them; None if that is nothing.

    flags: of the processor; None if unknown.
    """
    if kind == "kernel" or flags is None:
        return None
    lost = [name for prefix, name in UNKNOWN_TO_VALGRIND.items() if any(flag.startswith(prefix) for flag in flags)]
    if not lost:
        return None
    return f"valgrind knows no {' and no '.join(lost)}: libraries that use it on this processor take another path"


def diagnose_counter() -> Finding:
    """Say what counts instructions here, for machines that are too noisy for times."""
    offer, use = find_offer(), "where times are too noisy: --metric instructions"
    told = "; ".join(offer.obstacles)
    if offer.kind is None:
        return Finding(name="instructions", state="unknown", found=f"nothing counts them: {told}", advice=INSTALL)
    found = "counted by the kernel" if offer.kind == "kernel" else f"counted under valgrind ({told})"
    return Finding(name="instructions", state="good", found=found, advice=use)


def open_counter(kind: CounterKind, folder: str) -> Counter:
    """Open a counter in the process of a backend, before it is loaded. Raises CountError.

    folder: of valgrind's dumps.
    """
    return kernel.KernelCounter() if kind == "kernel" else valgrind.ValgrindCounter(Path(folder))


@contextmanager
def counting(counter: Counter) -> Iterator[Callable[[Callable[[], Result]], tuple[Result, int]]]:
    """Yield a function that counts a call, less the counter's own instructions; no garbage is collected meanwhile.

    Raises CountError.
    """
    gc.collect()
    gc.disable()
    counter.begin()
    try:
        own = statistics.median_low(counter.count(_nothing)[1] for _ in range(OWN_READINGS))

        def count(call: Callable[[], Result]) -> tuple[Result, int]:
            result, found = counter.count(call)
            return result, max(1, found - own)

        yield count
    finally:
        counter.end()
        gc.enable()


def _nothing() -> None:
    """Do nothing."""
