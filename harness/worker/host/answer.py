"""Requests of the run that the backend's process answers as a whole: its start and times."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from harness.plugins.manager import Registry
from harness.record.run import NOT_OFFERED
from harness.worker.outcome import Seen
from harness.worker.protocol import (
    Answer,
    Check,
    Checked,
    Count,
    FilesLoaded,
    ListFiles,
    Measured,
    MeasurePeak,
    Prepare,
    Ready,
    Release,
    Reply,
    Request,
    Sample,
    Start,
)

if TYPE_CHECKING:
    from harness.measure.instructions.counter import Counter
    from harness.worker.host.opened import Opened
    from harness.worker.host.timed_problem import Session
    from harness.worker.judging import Judge


@dataclass(slots=True)
class State:
    """State of a worker between requests."""

    registry: Registry = field(default_factory=Registry)
    start: Start | None = None
    session: Session | None = None
    counter: Counter | None = None
    opened: Opened | None = None


def answer(state: State, request: Request, judge: Judge | None = None) -> Reply:
    """Return the reply to one request.

    state: changed by the request.
    judge: of timed calls; None judges in this process.
    """
    if isinstance(request, MeasurePeak):
        from harness.measure.peak import measure_peak

        return Measured(measure_peak(request.device, quick=request.quick))
    if isinstance(request, ListFiles):
        from harness.worker.host.loaded import list_loaded, list_package_folders

        opened = state.opened.files.copy() if state.opened is not None else {}
        return FilesLoaded(
            list_loaded(), list_package_folders(), tuple(sorted(opened)),
            tuple(sorted(file for file, read in opened.items() if read)),
            state.opened is not None and state.opened.overfull,
        )  # fmt: skip
    assert state.start is not None, "a worker is started before it is asked"
    backend = state.registry.backends.get(state.start.backend)
    if isinstance(request, Start):
        return _probe(state.registry, request)
    if backend is None:
        return Checked("error", f"backend '{state.start.backend}' is not loaded in this worker")
    from harness.worker.host import execute

    def choose(line: str) -> Callable[[], Seen]:
        assert backend is not None and state.start is not None
        return partial(execute.choose_subject, state.registry, backend, line, state.start.extra)

    match request:
        case Answer() | Check():
            return Checked("error", "laws are applied, and votes are answered, by the judge's process")
        case Sample():
            return execute.time_block(state.session, request)
        case Prepare():
            state.session = None  # frees its arrays before the next ones are allocated
            state.session, reply = execute.prepare(choose(request.problem), request, judge)
            return reply
        case Count():
            state.session = None
            return execute.count(choose(request.problem), request, state.counter, judge)
        case Release():
            state.session = None
            return Checked("passed", None)


def _probe(registry: Registry, request: Start) -> Ready:
    """Load and probe the backend; the reason why it cannot run here is part of the reply, not an error."""
    backend = registry.backends.get(request.backend)
    if backend is None:
        broken = [f"{row.name}: {row.reason}" for row in registry.rows if row.state == "broken"]
        why = f"its plugin did not load in the worker ({'; '.join(broken)})" if broken else f"{NOT_OFFERED} there"
        return Ready(why, {}, {"backends": sorted(registry.backends)})
    try:
        from harness.laws.threads import grant_threads
        from harness.record.environment import describe_threads

        reason = backend.probe()
        if request.threads is not None and not reason:
            grant_threads(backend, request.threads)
        versions = {} if reason else backend.versions()
        process: dict[str, Any] = {
            "threads": describe_threads(), "python": sys.version.split()[0], "backends": sorted(registry.backends),
        }  # fmt: skip
        if request.observe and not reason:
            from harness.worker.host.instructions import observe_instructions

            process["instruction_sets"] = observe_instructions(backend.instruction_sets)
        return Ready(
            str(reason) if reason else None, {str(name): str(version) for name, version in versions.items()}, process
        )
    except Exception as error:
        return Ready(f"{type(error).__name__}: {' '.join(str(error).split())}", {})
