"""Worker process, `python -m harness.worker IN OUT`: answers requests from pipe IN on pipe OUT until IN closes."""

from __future__ import annotations

import faulthandler
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO

import harness.measure.block  # noqa: F401  binds its clocks before any backend can reach them
from harness.measure.processor_time import adopt_orphans
from harness.plugins.manager import Registry, load_plugins
from harness.record.run import NOT_OFFERED
from harness.worker.protocol import (
    Answer,
    Check,
    Checked,
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
    receive,
    send,
)

if TYPE_CHECKING:
    from harness.worker.timed_problem import Session


def main(arguments: list[str]) -> None:
    """Serve requests on the two inherited file descriptors; a backend's prints go to the worker's log instead."""
    faulthandler.enable()
    adopt_orphans()
    source, target = map(int, arguments)
    with os.fdopen(source, "rb") as requests_in, os.fdopen(target, "wb") as replies_out:
        serve(requests_in, replies_out)


@dataclass(slots=True)
class State:
    """State of a worker between requests."""

    registry: Registry = field(default_factory=Registry)
    start: Start | None = None
    session: Session | None = None


def serve(source: BinaryIO, target: BinaryIO) -> None:
    """Answer every request with one reply until the source ends."""
    state = State()
    while (received := receive(source)) is not None:
        request, ticket = received
        if isinstance(request, Start):
            state.registry, state.start = load_plugins(request.extra, only=request.plugins), request
        send(target, answer(state, request), ticket)


def answer(state: State, request: Request) -> Reply:
    """Return the reply to one request."""
    if isinstance(request, MeasurePeak):
        from harness.measure.peak import measure_peak

        return Measured(measure_peak(request.device, quick=request.quick))
    if isinstance(request, ListFiles):
        from harness.worker.loaded import list_loaded, list_package_folders

        return FilesLoaded(list_loaded(), list_package_folders())
    assert state.start is not None, "a worker is started before it is asked"
    backend = state.registry.backends.get(state.start.backend)
    if isinstance(request, Start):
        return _probe(state.registry, request)
    if backend is None:
        return Checked("error", f"backend '{state.start.backend}' is not loaded in this worker")
    from harness.worker import execute

    def choose(line: str) -> Callable[[], execute.Seen]:
        assert backend is not None and state.start is not None
        return partial(execute.choose_subject, state.registry, backend, line, state.start.extra)

    match request:
        case Answer():
            return execute.answer(backend, request)
        case Check():
            return execute.check(choose(request.problem), state.registry.law(request.law))
        case Sample():
            return execute.time_block(state.session, request)
        case Prepare():
            state.session = None  # frees its arrays before the next ones are allocated
            state.session, reply = execute.prepare(choose(request.problem), request)
            return reply
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
            from harness.worker.instructions import observe_instructions

            process["instruction_sets"] = observe_instructions(backend.instruction_sets)
        return Ready(
            str(reason) if reason else None, {str(name): str(version) for name, version in versions.items()}, process
        )
    except Exception as error:
        return Ready(f"{type(error).__name__}: {' '.join(str(error).split())}", {})


if __name__ == "__main__":
    main(sys.argv[1:])
