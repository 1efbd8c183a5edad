"""`python -m harness.worker IN OUT`: answers requests on two inherited pipes until the first one closes."""

from __future__ import annotations

import faulthandler
import os
import sys
from typing import BinaryIO

from harness.plugins.manager import Registry, load_plugins
from harness.worker.protocol import (
    Answer,
    Check,
    Checked,
    Measured,
    MeasurePeak,
    Ready,
    Reply,
    Request,
    Start,
    Time,
    receive,
    requests,
    send,
)


def main(arguments: list[str]) -> None:
    """Serve requests; the worker's own output goes to its log, so that a backend's prints disturb nothing."""
    faulthandler.enable()
    source, target = map(int, arguments)
    with os.fdopen(source, "rb") as requests_in, os.fdopen(target, "wb") as replies_out:
        serve(requests_in, replies_out)


def serve(source: BinaryIO, target: BinaryIO) -> None:
    """Answer every request with one reply."""
    registry, start = Registry(), None
    while (request := receive(source, requests)) is not None:
        if isinstance(request, Start):
            registry, start = load_plugins(request.extra, only=request.plugins), request
        send(target, answer(registry, start, request))


def answer(registry: Registry, start: Start | None, request: Request) -> Reply:
    """The reply to one request."""
    if isinstance(request, MeasurePeak):
        from harness.timing.peak import measure_peak

        return Measured(measure_peak())
    assert start is not None, "a worker is started before it is asked"
    backend = registry.backends.get(start.backend)
    if isinstance(request, Start):
        return _probe(registry, request)
    if backend is None:
        return Checked("error", f"backend '{start.backend}' is not loaded in this worker")
    from harness.worker import execute

    if isinstance(request, Answer):
        return execute.answer(backend, request)
    if isinstance(request, Check):
        return execute.check(backend, registry.law(request.law), request)
    assert isinstance(request, Time)
    return execute.time_problem(backend, request)


def _probe(registry: Registry, request: Start) -> Ready:
    """Load and probe the backend; the reason why it cannot run here is data, not an error."""
    backend = registry.backends.get(request.backend)
    if backend is None:
        broken = [f"{row.name}: {row.reason}" for row in registry.rows if row.state == "broken"]
        return Ready(f"its plugin did not load in the worker ({'; '.join(broken) or 'not found'})", {})
    try:
        reason = backend.probe()
        versions = {} if reason else backend.versions()
        return Ready(str(reason or ""), {str(name): str(version) for name, version in versions.items()})
    except Exception as error:
        return Ready(f"{type(error).__name__}: {' '.join(str(error).split())}", {})


if __name__ == "__main__":
    main(sys.argv[1:])
