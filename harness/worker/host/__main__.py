"""The backend's process, `python -m harness.worker.host CHANNEL QUESTIONS ANSWERS`, started by the judge's process.

The arguments are descriptors: the socket on which it is asked, and the files of the two arenas. It knows no path of the
run and decides nothing: it loads the backend, makes calls, and takes times that the judge's side holds against others.
"""

from __future__ import annotations

import faulthandler
import socket
import sys
from contextlib import suppress

import msgspec

import harness.measure.block  # noqa: F401  binds its clocks before any backend can reach them
from harness.backend.copying import Copying, adopt
from harness.measure.processor_time import adopt_orphans
from harness.plugins.manager import load_plugins
from harness.worker import protocol
from harness.worker.host.answer import State, answer
from harness.worker.host.declared import declare
from harness.worker.host.serving import Server
from harness.worker.parentage import die_with_parent
from harness.worker.wire.arena import Arena
from harness.worker.wire.channel import Channel, ChannelClosedError
from harness.worker.wire.messages import Loaded, encoder, requests


def main(arguments: list[str]) -> None:
    """Serve requests until the judge's process closes the channel."""
    faulthandler.enable()
    die_with_parent()
    adopt_orphans()
    descriptor, questions, answers = map(int, arguments)
    with socket.socket(fileno=descriptor) as end, suppress(ChannelClosedError):
        serve(Channel(end), Arena(questions), Arena(answers))


def serve(channel: Channel, questions: Arena, answers: Arena) -> None:
    """Load the backend that the first frame names, then answer each request with one reply.

    channel: to the judge's process.
    questions, answers: arenas of the judge's arrays and of this process's.
    """
    body, ticket = channel.receive()
    start = protocol.requests.decode(body)
    assert isinstance(start, protocol.Start)
    state = State(start=start)
    refusal = open_counter_of(state, start)  # before any library of the backend can start a thread
    if start.watches_opens:
        from harness.worker.host.opened import watch_opens

        state.opened = watch_opens(start.plugins, start.extra)
    state.registry = load_plugins(start.extra, only=start.plugins)
    ready = answer(state, start) if refusal is None else protocol.Ready(refusal, {})
    assert isinstance(ready, protocol.Ready)
    backend = state.registry.backends.get(start.backend)
    declared = None if backend is None or ready.reason else declare(backend)
    if declared is not None and backend is not None:
        try:
            declared = msgspec.structs.replace(declared, copies=isinstance(adopt(backend), Copying))
        except Exception as error:
            ready, declared = protocol.Ready(f"{type(error).__name__}: {' '.join(str(error).split())}", {}), None
    channel.send(encoder.encode(Loaded(ready, declared)), ticket)
    server = Server(state, None if declared is None else backend, questions, answers, channel)
    while True:
        body, ticket = channel.receive()
        channel.send(encoder.encode(server.reply(requests.decode(body), ticket)), ticket)


def open_counter_of(state: State, start: protocol.Start) -> str | None:
    """Open the counter that a process is started with, if there is one; return why it cannot be opened."""
    if start.counter is None:
        return None
    from harness.measure.instructions.choose import open_counter
    from harness.measure.instructions.counter import CountError

    try:
        state.counter = open_counter(start.counter, start.dumps)
    except CountError as error:
        return f"its instructions cannot be counted: {error}"
    return None


if __name__ == "__main__":
    main(sys.argv[1:])
