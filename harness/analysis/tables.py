"""Tables of a run: one documented schema for Parquet files and for the frames of reports."""

from __future__ import annotations

import itertools
import os
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Literal

from harness.networks.problem import is_network_line
from harness.problems.line import parse_line, read_text
from harness.record.passes import Block, Pass
from harness.record.run import Peak, Result, Run

if TYPE_CHECKING:
    import pyarrow as pa

ColumnType = Literal["string", "int64", "float64", "bool"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column: name, dtype, unit (empty if there is none) and meaning. Missing values are null."""

    name: str
    dtype: ColumnType
    unit: str
    meaning: str


RESULT_COLUMNS = (
    Column("cell", "int64", "", "number of the cell in the plan"),
    Column("suite", "string", "", "suite that planned the cell"),
    Column("kind", "string", "", "correctness, consensus, speed or count"),
    Column("arm", "string", "", "arm under test: a backend in an environment; the backend's name where none was given"),
    Column("backend", "string", "", "registered name of the arm's backend"),
    Column("label", "string", "", "name of the problem: network/layer, sweep/axis=value or a geometry"),
    Column("operator", "string", "", "operator of the problem"),
    Column("problem", "string", "", "canonical problem line; the join key"),
    Column("dtype", "string", "", "dtype of the problem"),
    Column("law", "string", "", "law that was applied; empty for speed"),
    Column("role", "string", "", "role of the law: reference, arithmetic or network; empty for most"),
    Column("formula", "string", "", "the law's statement"),
    Column("outcome", "string", "", "passed, failed, error, crashed, timeout, unsupported, unavailable or skipped"),
    Column("reason", "string", "", "why, where the outcome is not passed; or a remark"),
    Column("route", "string", "", "native, derived or unsupported"),
    Column("via", "string", "", "what a derived operator was derived from"),
    Column("multiplicity", "int64", "", "how often the network has this layer"),
    Column("slowdown", "float64", "1", "known work added to each call, as a share, in a qualification; null elsewhere"),
    Column("worst", "float64", "1", "largest error in units of its bound; above 1 fails"),
    Column("compared", "int64", "1", "elements compared"),
    Column("vacuous", "int64", "1", "compared elements whose bound is as large as the value"),
    Column("proves_nothing", "bool", "", "whether nothing, or only vacuous elements, were compared"),
    Column("effective_bits", "float64", "bit", "-log2 of the error relative to sqrt(K)(|w|*|x|)"),
    Column("ulps", "float64", "1", "worst error in units in the last place, where a comparison failed"),
    Column("where", "string", "", "where the wrong elements lie, in words"),
    Column("observed", "string", "", "what the backend does, where a law looks at a declaration"),
    Column("passes", "int64", "1", "fresh processes in which the cell was timed"),
    Column("samples", "int64", "1", "raw samples over all passes"),
    Column("mode", "string", "", "hot: calls follow each other; cold: memory beyond the caches is written before each"),
    Column("blocks", "int64", "1", "visits to the cell over all passes; null where a run of format 1 tells none apart"),
    Column("dropped_blocks", "int64", "1", "those of them that the rule leaves out"),
    Column(
        "median_ns",
        "float64",
        "ns",
        "time of a call: geometric mean over passes of the geometric mean over blocks of the blocks' medians",
    ),
    Column("low_ns", "float64", "ns", "lower end of its 95 % interval"),
    Column("high_ns", "float64", "ns", "upper end of its 95 % interval"),
    Column("interval", "string", "", "what the interval covers: processes, or one process only"),
    Column("first_call_ns", "float64", "ns", "median over passes of the first call"),
    Column("prepare_ns", "float64", "ns", "median over passes of planning and allocation"),
    Column(
        "cores", "float64", "1", "cores that the calls kept busy: processor time over wall time, median over passes"
    ),
    Column("host_ns", "float64", "ns", "median over passes of a call's host time; null where the clock is the host's"),
    Column("memory_bytes", "int64", "B", "farthest rise of the peak of memory in planning and the first call"),
    Column("workspace_bytes", "int64", "B", "workspace that the backend declares, the largest of the passes"),
    Column("gflop", "float64", "GFLOP", "operations of the direct algorithm, taps on padding not counted"),
    Column("gflops", "float64", "GFLOP/s", "gflop over the median time"),
    Column(
        "peak_fraction", "float64", "1", "gflops over the GEMM rate of the same device and dtype, measured in this run"
    ),
    Column("seconds", "float64", "s", "wall time that the cell took in the worker, last pass"),
    Column("worker", "int64", "", "process number of the worker, last pass"),
    Column("threads", "int64", "1", "threads that a law's worker was started with; null where it is not known"),
)
SAMPLE_COLUMNS = (
    Column("cell", "int64", "", "number of the cell in the plan"),
    Column("pass", "int64", "", "number of the pass"),
    Column("process", "int64", "", "process number of the worker"),
    Column("loops", "int64", "1", "calls in each sample"),
    Column("warmups", "int64", "1", "untimed calls before the first sample"),
    Column("clock", "string", "", "clock of the samples"),
    Column("device", "string", "", "device that the backend declares"),
    Column("sample", "int64", "", "number of the sample in its pass"),
    Column("sample_ns", "float64", "ns", "mean time of a call in this sample"),
    Column("block", "int64", "", "visit that the sample belongs to; null in runs of format 1"),
    Column("dropped", "string", "", "why the rule leaves the block out; empty where it counts"),
)
BLOCK_COLUMNS = (
    Column("cell", "int64", "", "number of the cell in the plan"),
    Column("pass", "int64", "", "number of the pass"),
    Column("process", "int64", "", "process number of the worker"),
    Column("visit", "int64", "", "place among the blocks of all arms on this problem in this pass"),
    Column("samples", "int64", "1", "raw samples of the block"),
    Column("warmups", "int64", "1", "untimed calls before them"),
    Column("median_ns", "float64", "ns", "median of the samples; times are made of these"),
    Column("steady_ns", "float64", "ns", "first decile of the samples; ratios and verdicts are made of these"),
    Column("wall_ns", "int64", "ns", "wall time of the whole visit, seen from outside the process"),
    Column("control_ns", "int64", "ns", "time of the control kernel just before"),
    Column("cpu_ns", "int64", "ns", "processor time of the process and all that it started, during the samples"),
    Column("span_ns", "int64", "ns", "wall time from the begin of every sample to its end, between its calls too"),
    Column("waited_ns", "int64", "ns", "how long the first thread of the process waited for a core during that"),
    Column("visit_cpu_ns", "int64", "ns", "processor time of the same during the whole visit, seen from outside"),
    Column("visit_waited_ns", "int64", "ns", "how long its first thread waited for a core during the visit"),
    Column("delayed_ns", "int64", "ns", "how long the harness itself waited for a core during the visit"),
    Column("dropped", "string", "", "why the rule leaves the block out; empty where it counts"),
    Column("steal_ticks", "float64", "1", "ticks that the hypervisor took from all cores"),
    Column("voluntary", "float64", "1", "voluntary context switches of the worker's threads"),
    Column("involuntary", "float64", "1", "context switches that they did not ask for"),
    Column("load1", "float64", "1", "load average over a minute, at the end"),
    Column("cpu_mhz", "float64", "MHz", "frequency of the fastest core at the end"),
    Column("cpu_share", "float64", "1", "that as a share of the one at the beginning"),
    Column("gpu_begun_mhz", "float64", "MHz", "frequency of the device's processors before the first sample"),
    Column("gpu_mhz", "float64", "MHz", "the same after the last sample"),
    Column("gpu_share", "float64", "1", "that as a share of the one at the beginning"),
    Column("gpu_reasons", "float64", "", "NVML's bits for why it is not higher"),
)

BLOCK_FIELDS = (
    "visit", "warmups", "wall_ns", "control_ns", "cpu_ns", "span_ns", "waited_ns", "visit_cpu_ns", "visit_waited_ns",
    "delayed_ns",
)  # fmt: skip


AT_ONCE = 1024  # results whose attributes stay in the processor's caches until every column has taken its own
_OF_RESULT = (
    "cell", "suite", "kind", "arm", "backend", "label", "problem", "law", "role", "formula", "outcome", "reason",
    "multiplicity", "seconds", "worker", "slowdown", "threads",
)  # fmt: skip
_OF_ROUTE = {"route": "kind", "via": "via"}
_OF_DEVIATION = {
    "worst": "worst", "compared": "compared", "vacuous": "vacuous", "proves_nothing": "proves_nothing",
    "effective_bits": "effective_bits", "ulps": "ulps", "where": "note", "observed": "observed",
}  # fmt: skip
Columns = dict[str, list[Any]]  # the values of every column by its name, all of one length


def result_columns(run: Run) -> Columns:
    """Return the values of the columns RESULT_COLUMNS, one for every result; by column, as runs have 10^5 results."""
    results, peaks = run.results, {peak.device: peak for peak in run.peaks}
    made: Columns = {name: [] for name in (*_OF_RESULT, *_OF_ROUTE, *_OF_DEVIATION)}
    of_result, of_route, of_deviation = (
        [(made[name].extend, attrgetter(attribute)) for name, attribute in names.items()]
        for names in (dict(zip(_OF_RESULT, _OF_RESULT, strict=True)), _OF_ROUTE, _OF_DEVIATION)
    )
    none = SimpleNamespace(**dict.fromkeys(_OF_DEVIATION.values()))
    for begin in range(0, len(results), AT_ONCE):
        part = results[begin : begin + AT_ONCE]
        routes = [result.route for result in part]
        deviations = [none if result.deviation is None else result.deviation for result in part]
        for columns, values in ((of_result, part), (of_route, routes), (of_deviation, deviations)):
            for extend, read in columns:
                extend(map(read, values))
    made["threads"] = [threads or None for threads in made["threads"]]
    fields = {line: (line.partition(" ")[0], read_text(line, "dtype")) for line in set(made["problem"])}
    told = [fields[line] for line in made["problem"]]
    made["operator"], made["dtype"] = [name for name, _ in told], [dtype for _, dtype in told]
    nothing: list[Any] = [None] * len(results)
    for number, result in enumerate(results):
        if result.measurement is not None:
            for name, value in _timing_values(result, peaks, made["dtype"][number]).items():
                if name not in made:
                    made[name] = nothing.copy()
                made[name][number] = value
    return {column.name: made.get(column.name, nothing) for column in RESULT_COLUMNS}


def result_rows(run: Run) -> list[dict[str, Any]]:
    """Return one row for every result, with the columns RESULT_COLUMNS."""
    return from_columns(result_columns(run))


def from_columns(columns: Columns) -> list[dict[str, Any]]:
    """Return columns as rows."""
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def to_columns(rows: Sequence[dict[str, Any]], columns: Sequence[Column]) -> Columns:
    """Return rows as columns."""
    return {column.name: [row[column.name] for row in rows] for column in columns}


def _timing_values(result: Result, peaks: dict[str, Peak], dtype: str) -> dict[str, Any]:
    import statistics

    from harness.analysis.statistics import estimate_time

    assert result.measurement is not None
    passes, time = result.measurement.passes, estimate_time(result.measurement)
    gflop = None if is_network_line(result.problem) else parse_line(result.problem).flops / 1e9
    rate = None if gflop is None else gflop / (time.value / 1e9)
    peak = peaks.get(passes[0].device)
    best = peak.gemm_gflops.get(dtype) if peak is not None else None
    return _block_values(passes) | {
        "passes": len(passes),
        "samples": sum(len(one.samples_ns) for one in passes),
        "median_ns": time.value,
        "low_ns": time.low,
        "high_ns": time.high,
        "interval": time.over,
        "first_call_ns": float(statistics.median(one.first_call_ns for one in passes)),
        "prepare_ns": float(statistics.median(one.prepare_ns for one in passes)),
        "gflop": gflop,
        "gflops": rate,
        "peak_fraction": rate / best if best and rate is not None else None,
    }


def _block_values(passes: Sequence[Pass]) -> dict[str, Any]:
    """Values that passes have since format 2; empty for passes without blocks."""
    import statistics

    blocks = [block for one in passes for block in one.blocks]
    if not blocks:
        return {}
    cores = [found for one in passes if (found := one.cores) is not None]
    host = [one.host_ns / (one.loops * len(one.samples_ns)) for one in passes if one.clock != "host"]
    return {
        "mode": passes[0].mode,
        "blocks": len(blocks),
        "dropped_blocks": sum(bool(block.dropped) for block in blocks),
        "cores": statistics.median(cores) if cores else None,
        "host_ns": statistics.median(host) if host else None,
        "memory_bytes": max(one.memory_bytes for one in passes) or None,  # 0 where it cannot be read
        "workspace_bytes": max(one.workspace_bytes for one in passes),
    }


def sample_rows(run: Run) -> list[dict[str, Any]]:
    """Return one row for every raw sample, with the columns SAMPLE_COLUMNS."""
    return [
        {
            "cell": result.cell, "pass": one.number, "process": one.process, "loops": one.loops, "warmups": one.warmups,
            "clock": one.clock, "device": one.device, "sample": number, "sample_ns": value,
            "block": block.visit if block else None, "dropped": (block.dropped if block else None) or "",
        }
        for result in run.results if result.measurement is not None
        for one in result.measurement.passes
        for number, (value, block) in enumerate(zip(one.samples_ns, _block_of_samples(one), strict=True))
    ]  # fmt: skip


def _block_of_samples(one: Pass) -> list[Block | None]:
    """Block of every sample of a pass, in order; None in a pass of format 1."""
    found: list[Block | None] = [block for block in one.blocks for _ in range(block.count)]
    return found or [None] * len(one.samples_ns)


def block_rows(run: Run) -> list[dict[str, Any]]:
    """Return one row for every block, with the columns BLOCK_COLUMNS; none for a run of format 1."""
    import statistics

    from harness.measure.estimator import steady

    rows = []
    for result in run.results:
        for one in result.measurement.passes if result.measurement is not None else ():
            ends = list(itertools.accumulate((block.count for block in one.blocks), initial=0))
            for block, (begin, end) in zip(one.blocks, itertools.pairwise(ends), strict=True):
                row: dict[str, Any] = {column.name: block.readings.get(column.name) for column in BLOCK_COLUMNS}
                row |= {name: getattr(block, name) for name in BLOCK_FIELDS}
                row |= {
                    "dropped": block.dropped or "",
                    "cell": result.cell,
                    "pass": one.number,
                    "process": one.process,
                    "samples": block.count,
                }
                samples = one.samples_ns[begin:end]
                rows.append(row | {"median_ns": statistics.median(samples), "steady_ns": steady(samples)})
    return rows


def write_tables(run: Run) -> None:
    """Write results.parquet, samples.parquet and blocks.parquet, each atomically.

    The tables are kept until the run's frames are made of them, or the run ends, since reports often follow.
    """
    made: dict[str, pa.Table] = {}
    for name in ("results", "samples", "blocks"):
        made[name] = recorded_table(run, name)
        _write(run.path / f"{name}.parquet", made[name], run)
    _KEPT[id(run)] = made
    weakref.finalize(run, _KEPT.pop, id(run), None).atexit = False


_KEPT: dict[int, dict[str, pa.Table]] = {}  # by identity of a living run: what `write_tables` has written


def recorded_table(run: Run, name: Literal["results", "samples", "blocks"]) -> pa.Table:
    """Return one of the tables of what was measured, as `write_tables` writes it; that of `write_tables` only once."""
    kept = _KEPT.get(id(run), {}).pop(name, None)
    if kept is not None:
        return kept
    match name:
        case "results":
            return make_table(result_columns(run), RESULT_COLUMNS)
        case "samples":
            return make_table(to_columns(sample_rows(run), SAMPLE_COLUMNS), SAMPLE_COLUMNS)
        case "blocks":
            return make_table(to_columns(block_rows(run), BLOCK_COLUMNS), BLOCK_COLUMNS)


def make_table(values: Columns, columns: Sequence[Column]) -> pa.Table:
    """Build an Arrow table; its fields hold the unit and the meaning of their columns.

    values: by name of the column.
    """
    import pyarrow as pa

    kinds = {"string": pa.string(), "int64": pa.int64(), "float64": pa.float64(), "bool": pa.bool_()}
    fields = [pa.field(c.name, kinds[c.dtype], metadata={"unit": c.unit, "meaning": c.meaning}) for c in columns]
    arrays = [pa.array(values[field.name], type=field.type) for field in fields]
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def _write(path: Path, table: pa.Table, run: Run) -> None:
    import pyarrow.parquet as pq

    about = {"format": str(run.header.format), "fingerprint": str(run.header.environment.get("fingerprint", ""))}
    part = path.with_suffix(".part")
    pq.write_table(table.replace_schema_metadata(about), part, compression="zstd")
    os.replace(part, path)
