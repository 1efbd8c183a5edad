"""Values of a run as text: facts of the machine, precision, laws, times and ratios."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from harness import Run
from harness.analysis import PROVES_NOTHING, describe_resumed
from reports.number_format import format_duration, format_number, format_time

if TYPE_CHECKING:
    from harness.analysis import Estimate


_CLASS = re.compile(r"inputs in ([^,;]+), sums in ([^,;]+)")  # the class of arithmetic, as its law writes it
_GUESS = re.compile(r" \(TF32 or float16\)")
FARTHEST = 1000  # larger ratios, such as ends of intervals of two passes, are shown as "> 1000"
UNCERTAIN = 1.5  # upper over lower end of an interval, above which a time is marked as rough


def run_facts(run: Run) -> list[tuple[str, str]]:
    """Return machine, versions, peaks, command and interruptions of a run as names and values; only known ones."""
    header, env = run.header, run.header.environment
    libraries = {**env.get("libraries", {})}
    for versions in run.versions.values():
        libraries |= versions
    git = env.get("git") or {}
    facts = [
        ("Command", header.command),
        ("Begun", header.created),
        ("Took", _took(run)),
        ("Resumed", describe_resumed(run)),
        ("Machine", f"{env.get('cpu', '?')}, {env.get('cores', '?')} cores, {env.get('memory_gib', '?')} GiB"),
        ("Threads", f"{env['threads']} where times are taken" if "threads" in env else ""),
        ("System", f"{env.get('system', '?')} {env.get('kernel', '')} {env.get('machine', '')}"),
        ("Python", str(env.get("python", "?"))),
        ("Libraries", _pairs(libraries)),
        *((f"Peak, {peak.device}", _peak(peak.gemm_gflops, peak.copy_gbs)) for peak in run.peaks),
        ("Revision", f"{git['revision']}{', with changes' if git.get('dirty') else ''}" if git.get("revision") else ""),
        ("Variables", " ".join(f"{name}={value}" for name, value in env.get("variables", {}).items())),
        ("Plugins", ", ".join(header.plugins)),
        ("Fingerprint", str(env.get("fingerprint", ""))),
        ("Run", f"{run.path}, format {header.format}"),
    ]
    return [(name, value) for name, value in facts if value]


def describe_machine(run: Run) -> str:
    """Return the machine, the system and the date of a run in one line."""
    env = run.header.environment
    threads = f"{env['threads']} threads" if "threads" in env else ""
    return " · ".join(str(part) for part in (env.get("cpu"), env.get("system"), threads, run.header.created) if part)


def _took(run: Run) -> str:
    if run.ending is None:
        return ""
    whole = format_duration(run.ending.seconds)
    if not run.ending.speed_wall_s:
        return whole
    share = run.ending.timed_s / run.ending.speed_wall_s
    passes = [one for result in run.results if result.measurement is not None for one in result.measurement.passes]
    spent = sum(one.spent_ns for one in passes)
    verified = f"; {sum(one.verify_ns for one in passes) / spent:.0%} verifying" if spent else ""
    inside = f"{format_duration(run.ending.timed_s)} inside timed calls, {share:.0%} of the timing part"
    return f"{whole}; {inside}{verified}"


def _peak(gemm: dict[str, float], copy_gbs: float) -> str:
    rates = ", ".join(f"{format_number(rate)} GFLOP/s in {dtype}" for dtype, rate in gemm.items())
    return f"GEMM {rates}; copy {format_number(copy_gbs)} GB/s"


def _pairs(values: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def arithmetic_words(cell: dict[str, Any]) -> tuple[str, str, bool]:
    """Return the precision of one backend: fewest effective bits, a note, and True if all is well.

    The note has the class of arithmetic, and numbers of comparisons that failed or prove nothing.
    """
    bits = "" if cell["least_bits"] is None else format_number(cell["least_bits"], 3)
    if not bits and cell["comparisons"]:
        bits = "failed" if cell["failed"] else "no error"
    notes = (
        _CLASS.sub(r"\1 → \2", _GUESS.sub("", cell["arithmetic"] or "")),
        "not as declared" if cell["as_declared"] is False else "",
        f"{cell['failed']} of {cell['comparisons']} failed" if cell["failed"] else "",
        f"{cell['proves_nothing']} {PROVES_NOTHING}" if cell["proves_nothing"] else "",
    )
    well = not cell["failed"] and cell["as_declared"] is not False
    return bits or "–", ", ".join(note for note in notes if note), well


def time_words(cell: dict[str, Any]) -> str:
    """Return a median time: ~ if its interval is wide, * if the operator is derived and therefore not ranked."""
    rough = "~" if cell["high_ns"] > UNCERTAIN * cell["low_ns"] else ""
    return rough + format_time(cell["median_ns"]) + ("*" if cell["route"] == "derived" else "")


def law_words(row: dict[str, Any]) -> tuple[str, str]:
    """Return the numbers of passed and ran applications of one law on one backend, and a note."""
    idle = row["planned"] - row["ran"]
    notes = (
        f"worst {format_number(row['worst'], 2)}" if row["worst"] is not None else "",
        f"{row['proves_nothing']} {PROVES_NOTHING}" if row["proves_nothing"] else "",
        f"{idle} did not run" if idle else "",
    )
    return f"{row['passed']}/{row['ran']}" if row["ran"] else "–", ", ".join(note for note in notes if note)


def setup_words(made: dict[str, Any], side: str) -> str:
    """Return the times of planning and of the first call, for one side of a row of the table of verdicts."""
    times = [made[f"{side}_{name}_ns"] for name in ("prepare", "first")]
    return "" if None in times else " + ".join(map(format_time, times))


def ratio_words(ratio: Estimate | None) -> tuple[str, str]:
    """Return a ratio and its interval, with the digits needed for a change of a tenth of a percent."""
    if ratio is None:
        return "", ""
    return _short(ratio.value), f"{_short(ratio.low)} to {_short(ratio.high)}"


def _short(ratio: float) -> str:
    if not 1 / FARTHEST <= ratio <= FARTHEST:
        return f"< {1 / FARTHEST:g}" if ratio < 1 else f"> {FARTHEST}"
    return f"{ratio:.4f}" if abs(math.log(ratio)) < 0.1 else format_number(ratio, 4)
