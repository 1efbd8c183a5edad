"""The process that describes one plugin, `python -m harness.worker.describer CHANNEL`, started by the command.

It imports a third-party plugin, so that the command need not, and says what it brings; then it asks the plugin's
backends what the command wants to know for a plan. The argument is the descriptor of the socket on which it is asked.
"""

from __future__ import annotations

import faulthandler
import socket
import sys
from contextlib import suppress

from harness.measure.processor_time import adopt_orphans
from harness.plugins.manager import load_plugins
from harness.worker.describer.telling import describe_plugin, encode_answer, tell
from harness.worker.parentage import die_with_parent
from harness.worker.wire.channel import Channel, ChannelClosedError
from harness.worker.wire.descriptions import AskBackend, Describe, encoder, requests


def main(arguments: list[str]) -> None:
    """Serve requests until the command closes the channel."""
    faulthandler.enable()
    die_with_parent()
    adopt_orphans()
    with socket.socket(fileno=int(arguments[0])) as end, suppress(ChannelClosedError):
        serve(Channel(end))


def serve(channel: Channel) -> None:
    """Load the plugin that the first frame names, then answer questions about its backends.

    channel: to the command.
    """
    body, ticket = channel.receive()
    first = requests.decode(body)
    assert isinstance(first, Describe)
    registry = load_plugins(first.extra, only=(first.name,))
    channel.send(encoder.encode(describe_plugin(registry, first.name)), ticket)
    while True:
        body, ticket = channel.receive()
        asked = requests.decode(body)
        assert isinstance(asked, AskBackend)
        backend = registry.backend(asked.backend)
        for one in asked.problems:
            channel.send(encode_answer(tell(backend, one.make(), every=asked.every)), ticket)


if __name__ == "__main__":
    main(sys.argv[1:])
