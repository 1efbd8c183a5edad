"""The judge's process, `python -m harness.worker IN OUT`: answers requests from pipe IN on pipe OUT until IN closes.

It loads the plugins with laws and none that has only backends. The backend runs in a process of its own, which this one
starts; laws, votes, the reference, bounds and comparisons run here. Requests about times are passed on to it. If it
dies, this process ends in the same way, so that the run sees how.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import BinaryIO

import msgspec

from harness.backend.routing import find_route
from harness.errors import HarnessError, UsageError, unknown
from harness.measure.descendants import end_descendants
from harness.measure.processor_time import adopt_orphans
from harness.networks.problem import NetworkProblem
from harness.plan.task import parse_task
from harness.plugins.manager import BUILTIN, Registry, load_plugins
from harness.plugins.searching import append_folder
from harness.problems.line import parse_line
from harness.problems.problem import Problem
from harness.worker.dumps import make_folder, remove_folder
from harness.worker.hosted.backend import HostedBackend, make_hosted
from harness.worker.hosted.change import find_change
from harness.worker.hosted.examiner import Examiner, NetworkExaminer, mark_untold
from harness.worker.hosted.network import GraphBackend, HostedNetworkUnderTest
from harness.worker.hosted.process import Host, HostDiedError
from harness.worker.hosted.raised import HostError
from harness.worker.hosted.subject import HostedUnderTest
from harness.worker.origin import describe_error
from harness.worker.outcome import check
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
    Reply,
    Request,
    Sample,
    Start,
    receive,
    send,
)
from harness.worker.timed_subject import find_untimed
from harness.worker.voting import answer_vote
from harness.worker.wire.messages import MOST_TEXT

MOST_VERSIONS = 100  # libraries of which a backend names the versions
UNSAID = "its process says neither what it declares nor why it cannot run"


def main(arguments: list[str]) -> None:
    """Serve requests on the two inherited file descriptors; prints go to the worker's log instead."""
    adopt_orphans()
    source, target = map(int, arguments)
    with os.fdopen(source, "rb") as requests_in, os.fdopen(target, "wb") as replies_out:
        try:
            serve(requests_in, replies_out)
        except HostDiedError as error:
            end_descendants(os.getpid())
            die_alike(error.code)
        finally:
            end_descendants(os.getpid())


@dataclass(slots=True)
class State:
    """State of the judge's process between requests.

    registry: plugins with laws and networks.
    host: the backend's process; None before the start.
    backend: None if it cannot run, for the reason that its process gave.
    examiner: judge of the problem that was prepared last; None if the backend cannot run.
    started: the request with which the backend was started.
    source: descriptor of the pipe of the run's requests.
    graph: the backend as networks use it.
    partners: second backends of mixed networks by name, each in a process of its own.
    """

    registry: Registry = field(default_factory=Registry)
    host: Host | None = None
    backend: HostedBackend | None = None
    reason: str | None = None
    examiner: Examiner | None = None
    started: Start | None = None
    source: int | None = None
    graph: GraphBackend | None = None
    partners: dict[str, GraphBackend] = field(default_factory=dict)


def serve(source: BinaryIO, target: BinaryIO) -> None:
    """Answer every request with one reply until the source ends. Raises HostDiedError."""
    state = State()
    try:
        while (received := receive(source)) is not None:
            request, ticket = received
            send(target, answer(state, request, source.fileno()), ticket)
    finally:
        _close(state)


def answer(state: State, request: Request, source: int | None = None) -> Reply:
    """Return the reply to one request.

    state: changed by the request.
    source: descriptor of the pipe of the run's requests.
    Raises HostDiedError.
    """
    if isinstance(request, Start):
        return _start(state, request, source)
    if isinstance(request, MeasurePeak):
        from harness.measure.peak import measure_peak

        return Measured(measure_peak(request.device, quick=request.quick))
    assert state.host is not None, "a worker is started before it is asked"
    if isinstance(request, ListFiles):
        from harness.worker.host.loaded import list_loaded

        theirs = state.host.pass_on(request)
        assert isinstance(theirs, FilesLoaded)
        return msgspec.structs.replace(theirs, files=tuple(sorted({*theirs.files, *list_loaded()})))
    try:
        if isinstance(request, Check):
            return _check(state, request)
        if isinstance(request, Answer):
            return _vote(state, request)
        if isinstance(request, Prepare | Sample | Count):
            return _time(state, state.host, request)
    except (HarnessError, HostError) as error:  # of a problem line, or of what the backend declares
        return Checked("error", describe_error(error))
    return state.host.pass_on(request)


def _check(state: State, request: Check) -> Reply:
    """Apply a law here."""
    law, problem = state.registry.law(request.law), parse_task(request.problem, state.registry.networks)
    backend = state.backend
    if backend is None:
        return Checked("error", f"its backend cannot run: {state.reason}")
    if changed := find_change(backend, problem, request.numerics):
        return changed
    if isinstance(problem, NetworkProblem):
        return _watch_memory(state, check(partial(_find_network, state, problem), law))
    return _watch_memory(state, check(partial(HostedUnderTest, backend, problem), law))


def _find_network(state: State, problem: NetworkProblem) -> HostedNetworkUnderTest:
    """Return the network on the backend, and on the partner that the problem names. Raises UsageError without it."""
    assert state.graph is not None
    partner = None
    if problem.mixed and problem.mixed != state.graph.name:
        if problem.mixed not in state.partners:
            state.partners[problem.mixed] = _start_partner(state, problem.mixed)
        partner = state.partners[problem.mixed]
    return HostedNetworkUnderTest(state.graph, problem, partner)


def _start_partner(state: State, name: str) -> GraphBackend:
    """Start a process for the second backend of mixed networks. Raises UsageError if it cannot run."""
    assert state.started is not None
    if name not in state.started.offers:
        raise unknown("backend", name, state.started.offers, "python -m harness list backends")
    plugins = (state.started.offers[name],)
    host = Host(state.source, folder=_needs_folder(state.started, plugins), threads=state.started.threads)
    loaded = host.start(msgspec.structs.replace(state.started, plugins=plugins, backend=name, observe=False))
    if loaded.declared is None:
        host.close()
        raise UsageError(f"partner of a mixed network: got '{name}', which cannot run: {loaded.ready.reason}")
    return make_hosted(host, loaded.declared, GraphBackend)


def _vote(state: State, request: Answer) -> Reply:
    """Return the backend's outputs on a problem."""
    if state.backend is None:
        return Checked("error", f"its backend cannot run: {state.reason}")
    found = answer_vote(HostedUnderTest(state.backend, parse_line(request.problem)))
    overwritten = _watch_memory(state, Checked("passed", None))
    return found if overwritten.outcome == "passed" else overwritten


def _time(state: State, host: Host, request: Prepare | Sample | Count) -> Reply:
    """Let the backend's process prepare or time a problem, and judge its answers here."""
    if state.backend is None:
        return Checked("error", f"its backend cannot run: {state.reason}")
    if not isinstance(request, Sample):
        problem = parse_task(request.problem, state.registry.networks)
        state.examiner = None
        route = find_route(state.backend, problem)
        if route.kind == "unsupported":
            return Checked("unsupported", route.reason or None, declared=True)
        if changed := find_change(state.backend, problem, request.numerics):
            return changed
        network = _find_network(state, problem) if isinstance(problem, NetworkProblem) else None
        copies = any(one.declared.copies for one in (network.hosted.values() if network else (state.backend,)))
        if untimed := find_untimed(problem, route, copies, counted=isinstance(request, Count)):
            return Checked("unsupported", untimed)
        if network is not None:
            state.examiner = NetworkExaminer(state.backend, network)
        else:
            assert isinstance(problem, Problem)
            state.examiner = Examiner(state.backend, problem)
    if state.examiner is None:  # the host has no judge then, and no time counts without one
        return Checked("error", "nothing was made ready to be timed")
    state.examiner.begin(request)
    return mark_untold(state.examiner.approve(host.pass_on(request, state.examiner.answer)))


def _start(state: State, request: Start, source: int | None) -> Reply:
    """Load the laws here and the backend in a new process; return the report of that one."""
    _close(state)
    if _needs_folder(request, request.laws):
        append_folder()
    state.registry, state.started, state.source = load_plugins(request.extra, only=request.laws), request, source
    folder, launcher = _needs_folder(request, request.plugins), find_launcher(request, source)
    state.host = Host(source, launcher, folder=folder, threads=request.threads)
    loaded = state.host.start(request)
    if loaded.declared is None:
        state.backend = state.graph = None
    else:
        state.backend = make_hosted(state.host, loaded.declared)
        state.graph = make_hosted(state.host, loaded.declared, GraphBackend)
    ready = shorten(loaded.ready)
    state.reason = ready.reason or UNSAID
    return msgspec.structs.replace(ready, pid=state.host.process.pid)


def _needs_folder(request: Start, plugins: Sequence[str]) -> bool:
    """Return whether a process with these plugins finds modules in the current folder: if one is not built in."""
    return request.folder and not set(plugins).issubset(BUILTIN)


def find_launcher(request: Start, source: int | None) -> list[str]:
    """Return what goes before the command of the backend's process, so that its instructions can be counted.

    source: descriptor of the pipe of the run's requests.
    """
    if request.counter != "valgrind":
        return []
    from harness.measure.instructions import valgrind

    make_folder(Path(request.dumps), source)
    return valgrind.make_prefix(valgrind.find_program(), Path(request.dumps))


def shorten(ready: Ready) -> Ready:
    """Return the report of a start with texts of the backend that are short enough to be recorded."""
    cut = {name[:MOST_TEXT]: version[:MOST_TEXT] for name, version in list(ready.versions.items())[:MOST_VERSIONS]}
    return msgspec.structs.replace(ready, reason=ready.reason and ready.reason[:MOST_TEXT], versions=cut)


def _close(state: State) -> None:
    """End the processes of the backend and of its partners."""
    for host in (state.host, *(partner.host for partner in state.partners.values())):
        if host is not None:
            host.close()
    state.partners.clear()
    if state.started is not None and state.started.dumps:
        remove_folder(Path(state.started.dumps))


def _watch_memory(state: State, found: Checked) -> Checked:
    """Turn an outcome, skipped ones too, into a failure if calls of the backend have written around their arrays."""
    assert state.host is not None
    hosts = [state.host, *(partner.host for partner in state.partners.values())]
    names = [name for host in hosts for name in host.find_overwritten()]
    if not names or found.outcome == "error":
        return found
    return Checked("failed", f"memory around {', '.join(names)} was written by the call", found.deviation)


def die_alike(code: int) -> None:
    """End this process as the backend's process ended: by the same signal, or with the same exit code."""
    sys.stderr.flush()
    if code >= 0:
        os._exit(code)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the backend's process has written its own
    if -code != signal.SIGKILL:
        signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)


if __name__ == "__main__":
    main(sys.argv[1:])
