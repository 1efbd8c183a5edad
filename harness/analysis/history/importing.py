"""Import of pytest-benchmark files as run directories of a history."""

from __future__ import annotations

import datetime
import hashlib
import math
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from harness.analysis.history.store import PART
from harness.analysis.tables import write_tables
from harness.backend.routing import Route
from harness.errors import DAMAGED, HarnessError, UnwritableError, UsageError
from harness.machine.files import read_file
from harness.networks.problem import is_network_line
from harness.problems.line import parse_line
from harness.record.directory import read_run, write_header
from harness.record.environment import fingerprint
from harness.record.journal import EndEntry, PassEntry, ResultEntry
from harness.record.passes import Block, Measurement, Pass
from harness.record.run import FORMAT, Ending, Header, Result

WANTED = "what `pytest --benchmark-json` or `report --format pytest-benchmark` writes"
SUMMARY = ("min", "q1", "median", "q3", "max")  # replace missing samples: the middle one is the median
MOST_FILE_BYTES = 2**30  # with all samples, such files are large
DEVICE_CLOCKS = frozenset({"cuda"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreign:
    """A file as read: header and results of a run, named by its digest.

    left_out: names of the skipped benchmarks, with the reasons.
    """

    file: Path
    digest: str
    header: Header
    results: tuple[Result, ...]
    left_out: tuple[tuple[str, str], ...]

    @property
    def name(self) -> str:
        """Name of the run directory; the same for the same content, so that no file counts twice."""
        return f"imported-{self.digest}"


def read_benchmarks(file: str | Path, command: str = "") -> Foreign:
    """Read a file of pytest-benchmark. Raises UsageError if it is none."""
    file = Path(file)
    try:
        raw = read_file(file, MOST_FILE_BYTES)
        content = msgspec.json.decode(raw, type=dict[str, Any])
    except OSError as error:
        raise UsageError(f"import: got '{file}' ({error.strerror}), wanted {WANTED}") from None
    except DAMAGED as error:
        said = "it is empty" if not raw.strip() else f"no JSON object: {error}"
        raise UsageError(f"import: got '{file}' ({said}), wanted {WANTED}") from None
    benchmarks, machine = content.get("benchmarks"), content.get("machine_info")
    if not isinstance(benchmarks, list) or not isinstance(machine, dict):
        raise UsageError(f"import: got '{file}' (no `benchmarks` and `machine_info` in it), wanted {WANTED}")
    if not _is_date(content.get("datetime")):
        raise UsageError(f"import: got '{file}' (no `datetime` that is a date in it), wanted {WANTED}")
    results: list[Result] = []
    left_out = []
    for benchmark in benchmarks:
        name, found = _name(benchmark), _read_benchmark(benchmark, len(results))
        if isinstance(found, str):
            left_out.append((name, found))
        else:
            results.append(found)
    return Foreign(
        file=file, digest=hashlib.sha256(raw).hexdigest()[:16], results=tuple(results), left_out=tuple(left_out),
        header=_header(content, machine, results, command or f"python -m harness import {file.name}"),
    )  # fmt: skip


def write_foreign(foreign: Foreign, runs: str | Path) -> tuple[Path, bool]:
    """Write the file into a history as a run directory; return its path, and True if it is new.

    False if the directory exists, even if another process has just written it. It is written atomically.
    Raises UsageError if it cannot be written.
    """
    path = Path(runs) / foreign.name
    if path.exists():
        return path, False
    part = path.with_name(f"{foreign.name}.{os.getpid()}{PART}")
    try:
        part.mkdir(parents=True)
        _write(foreign, part)
        part.rename(path)
    except OSError as error:
        if path.is_dir():  # another process was faster
            return path, False
        raise UnwritableError(f"import: '{path}' cannot be written ({error.strerror}); see --runs") from None
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return path, True


def _write(foreign: Foreign, folder: Path) -> None:
    journal = write_header(folder, foreign.header)
    for result in foreign.results:
        assert result.measurement is not None, "only timings are imported"
        for one in result.measurement.passes:
            journal.append(PassEntry(cell=result.cell, samples=one))
        journal.append(ResultEntry(replace(result, measurement=None)))
    journal.append(EndEntry(Ending(complete=True)))
    journal.close()
    write_tables(read_run(folder))


def _name(benchmark: object) -> str:
    if not isinstance(benchmark, dict):
        return repr(benchmark)[:60]
    return str(benchmark.get("fullname") or benchmark.get("name") or "a benchmark without a name")


def _read_benchmark(benchmark: object, number: int) -> Result | str:
    """A verified timing, or the reason why the benchmark is left out."""
    if not isinstance(benchmark, dict):
        return "it is no object"
    extra, stats = benchmark.get("extra_info") or {}, benchmark.get("stats") or {}
    if not isinstance(extra, dict) or not isinstance(stats, dict):
        return "its extra_info or stats are no objects"
    missing = next((name for name in ("problem", "backend") if not isinstance(extra.get(name), str)), None)
    if missing:
        return f"its extra_info names no {missing}"
    if extra.get("verified") is not True:
        return "its extra_info does not say that its outputs were verified"
    arm = extra.get("arm", extra["backend"])  # absent in files of others, and of older releases
    if not isinstance(arm, str) or "@" in arm:
        return "it is an arm of another revision or environment than the file's"
    if extra.get("mode", "hot") not in ("hot", "cold"):
        return f"its mode is '{extra['mode']}', wanted hot or cold"
    samples, remark = _samples_ns(stats)
    if not samples:
        return remark
    try:
        problem = _canonical(extra["problem"])
    except HarnessError as error:
        return str(error)
    route = str(extra.get("route", "native"))
    via = route.removeprefix("derived via ") if route.startswith("derived via ") else ""
    return Result(
        cell=number, suite=str(extra.get("suite", "imported")), kind="speed", arm=arm,
        backend=extra["backend"], label=str(extra.get("label") or _name(benchmark)), problem=problem, law="",
        outcome="passed", reason=remark or None, route=Route(kind="derived" if via else "native", via=via),
        measurement=Measurement(passes=(_pass(samples, benchmark, stats, extra),)),
    )  # fmt: skip


def _canonical(line: str) -> str:
    """The canonical line, the key of results; the graph of a network may be unknown here."""
    return " ".join(line.split()) if is_network_line(line) else parse_line(line).line


def _pass(samples: tuple[float, ...], benchmark: dict[str, Any], stats: dict[str, Any], extra: dict[str, Any]) -> Pass:
    options = benchmark.get("options")
    clock = str(options.get("timer", "")) if isinstance(options, dict) else ""
    clock = clock if clock in DEVICE_CLOCKS else "host"
    loops = stats.get("iterations")
    return Pass(
        number=0, process=0, loops=loops if isinstance(loops, int) and loops > 0 else 1, warmups=0, clock=clock,
        device=clock if clock != "host" else "cpu", prepare_ns=0, first_call_ns=0, samples_ns=samples,
        host_ns=math.nan if clock in DEVICE_CLOCKS else 0.0,  # the file has no such number
        blocks=(Block(visit=0, count=len(samples)),), mode=extra.get("mode", "hot"),
    )  # fmt: skip


def _samples_ns(stats: Mapping[str, Any]) -> tuple[tuple[float, ...], str]:
    """Times of a call in ns and a remark; without times, the remark is the reason."""
    data, remark = stats.get("data"), ""
    if not data:
        data = [stats.get(name) for name in SUMMARY]
        remark = "the file has no samples: minimum, quartiles and maximum stand for them"
    if not isinstance(data, list) or not all(_is_time(value) for value in data):
        return (), "its stats hold neither samples nor a summary that are times above 0"
    return tuple(value * 1e9 for value in data), remark


def _is_date(text: object) -> bool:
    try:
        datetime.datetime.fromisoformat(str(text))
    except ValueError:
        return False
    return True


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf


def _header(content: dict[str, Any], machine: dict[str, Any], results: Sequence[Result], command: str) -> Header:
    commit = content.get("commit_info")
    return Header(
        format=FORMAT, created=str(content["datetime"]), command=command, cells=len(results),
        suites=tuple(dict.fromkeys(result.suite for result in results)),
        arm_names=tuple(dict.fromkeys(result.arm for result in results)),
        environment=_environment(machine, commit if isinstance(commit, dict) else {}),
    )  # fmt: skip


def _environment(machine: dict[str, Any], commit: dict[str, Any]) -> dict[str, Any]:
    """Environment under the names of the harness.

    The fingerprint excludes the host name, because CI names every job differently.
    """
    cpu = machine["cpu"] if isinstance(machine.get("cpu"), dict) else {}
    revision = commit.get("id")
    record: dict[str, Any] = {
        "cpu": str(cpu.get("brand_raw") or machine.get("processor") or machine.get("machine") or ""),
        "cores": cpu.get("count") if isinstance(cpu.get("count"), int) else None,
        "caches": {}, "memory_gib": None, "libraries": {}, "gpus": [], "threads": None, "variables": {},
        **{name: str(machine.get(name) or "") for name in ("machine", "system")},
        "python": str(machine.get("python_version") or ""),
        "implementation": str(machine.get("python_implementation") or ""), "kernel": str(machine.get("release") or ""),
        "git": {"revision": revision, "dirty": bool(commit.get("dirty"))} if _is_revision(revision) else {},
    }  # fmt: skip
    return {**record, "fingerprint": fingerprint(record)}


def _is_revision(text: object) -> bool:
    return isinstance(text, str) and len(text) >= 40 and all(digit in "0123456789abcdef" for digit in text)
