"""Frames between the judge's process and the backend's, on a socket: length, ticket, body.

The ticket is a random number that the reply repeats, so that bytes which a backend writes to the socket by itself are
not mistaken for a reply.
"""

from __future__ import annotations

import secrets
import socket
import struct

HEAD = struct.Struct("<IQ")  # length, ticket
MOST_BYTES = 2**30  # of a body; arrays do not go through the channel
CHUNK_BYTES = 2**16


class ChannelClosedError(Exception):
    """The other process has closed the channel: it has ended."""


class ChannelError(Exception):
    """Bytes that are no frame, or not the expected one."""


class Channel:
    """One end of the socket, with the bytes received beyond the last frame."""

    def __init__(self, end: socket.socket) -> None:
        """Take an end of a pair of connected sockets."""
        self.end, self.received = end, bytearray()

    def send(self, body: bytes, ticket: int) -> None:
        """Write one frame. Raises ChannelClosedError."""
        try:
            self.end.sendall(HEAD.pack(len(body), ticket) + body)
        except OSError:
            raise ChannelClosedError from None

    def receive(self, wanted: int | None = None) -> tuple[bytes, int]:
        """Wait for one frame; return its body and its ticket.

        wanted: ticket of the only frame that may come; None accepts any.
        Raises ChannelClosedError, and ChannelError as soon as a frame's head is wrong.
        """
        self._fill(HEAD.size)
        size, ticket = HEAD.unpack_from(self.received)
        if wanted is not None and ticket != wanted:
            raise ChannelError("got bytes that answer no request")
        if size > MOST_BYTES:
            raise ChannelError(f"got a frame of {size} bytes, wanted at most {MOST_BYTES}")
        end = HEAD.size + size
        self._fill(end)
        body = bytes(self.received[HEAD.size : end])
        del self.received[:end]
        return body, ticket

    def ask(self, body: bytes) -> int:
        """Send a request; return its ticket. Raises ChannelClosedError."""
        ticket = secrets.randbits(64)
        self.send(body, ticket)
        return ticket

    def hear(self, ticket: int) -> bytes:
        """Wait for a frame with a ticket; return its body.

        Raises ChannelClosedError, and ChannelError for anything else.
        """
        return self.receive(ticket)[0]

    def close(self) -> None:
        """Close this end."""
        self.end.close()

    def _fill(self, size: int) -> None:
        """Receive until so many bytes are there."""
        while len(self.received) < size:
            try:
                chunk = self.end.recv(CHUNK_BYTES)
            except OSError:
                chunk = b""
            if not chunk:
                raise ChannelClosedError
            self.received += chunk
