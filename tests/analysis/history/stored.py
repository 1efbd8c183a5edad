"""Runs on disk, written by the harness's own writers, to hold histories to times that are known."""

from dataclasses import replace

from harness.analysis.tables import write_tables
from harness.record.directory import read_run, write_header
from harness.record.journal import EndEntry, PassEntry, ResultEntry
from harness.record.run import FORMAT, Ending, Header
from tests.record.older import make_older
from tests.reports.made import time_cell

LINE, OTHER = "conv x=1x2x9 w=3x2x3", "conv x=1x2x9 w=3x2x3 stride=2"
MACHINE = {"fingerprint": "f00df00df00d", "threads": 2, "variables": {}, "cpu": "Made CPU", "cores": 2}


def timed(number, ns, line=LINE, backend="mine", **more):
    """A timed cell of three passes around a time."""
    return time_cell(number, backend, [0.99 * ns, ns, ns / 0.99], line, **more)


def store_run(path, *results, day=1, revision="", dirty=False, environment=None, arms=(), format=FORMAT, table=True):
    """Write a run of these results; without its tables it is one that still goes on."""
    path.mkdir(parents=True)
    git = {"revision": revision, "dirty": dirty} if revision else {}
    header = Header(
        format=FORMAT, created=f"2026-01-{day:02d}T12:00:00+0000", command="harness run", suites=("speed-short",),
        arm_names=tuple(dict.fromkeys(one.arm for one in results)), cells=len(results), arms=arms,
        environment={**MACHINE, **(environment or {}), "git": git},
    )  # fmt: skip
    journal = write_header(path, header)
    for result in results:
        for one in result.measurement.passes if format > 1 else ():
            journal.append(PassEntry(cell=result.cell, samples=one))
        # in the first format, a result holds its passes
        journal.append(ResultEntry(replace(result, measurement=None) if format > 1 else result))
    if table:
        journal.append(EndEntry(Ending(complete=True)))
    journal.close()
    if table:
        write_tables(read_run(path))
    if format < FORMAT:
        make_older(path, format)
    return path


def store_steps(folder, times_ns, backend="mine", line=LINE, environment=None):
    """A run a day, each of a commit of its own."""
    for day, ns in enumerate(times_ns, 1):
        path = folder / f"{backend}-{day:02d}"
        store_run(path, timed(0, ns, line, backend), day=day, revision=f"{day:x}" * 40, environment=environment)
