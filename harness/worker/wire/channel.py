"""Frames between the judge's process and the backend's, on a socket: length, ticket, body.

The ticket is a random number that the reply repeats, so that bytes which a backend writes to the socket by itself are
not mistaken for a reply.
"""

from __future__ import annotations

import secrets
import socket
import struct
import time

HEAD = struct.Struct("<IQ")  # length, ticket
MOST_BYTES = 2**26  # of a body; arrays do not go through the channel
CHUNK_BYTES = 2**16
LEAST_WAIT_S = 1e-3  # with 0, not even what is there would be received
TICKETS = 256  # drawn at a time


class ChannelClosedError(Exception):
    """The other process has closed the channel: it has ended."""


class ChannelError(Exception):
    """Bytes that are no frame, or not the expected one."""


class ChannelLateError(Exception):
    """The other process has not answered in time."""


class Channel:
    """One end of the socket, with the bytes received beyond the last frame."""

    def __init__(self, end: socket.socket, most_bytes: int = MOST_BYTES) -> None:
        """Take an end of a pair of connected sockets.

        most_bytes: of the body of a frame.
        """
        self.end, self.most_bytes, self.received = end, most_bytes, bytearray()
        self.until: float | None = None
        self.tickets: list[int] = []  # drawn, and known to this process alone

    def wait_until(self, until: float | None) -> None:
        """Let every later wait end at a time of the monotonic clock, with ChannelLateError; None waits without end."""
        self.until = until
        self.end.settimeout(None)

    def send(self, body: bytes, ticket: int) -> None:
        """Write one frame. Raises ChannelClosedError, ChannelLateError."""
        try:
            self._limit_wait()
            self.end.sendall(HEAD.pack(len(body), ticket) + body)
        except TimeoutError:
            raise ChannelLateError from None
        except OSError:
            raise ChannelClosedError from None

    def receive(self, wanted: int | None = None) -> tuple[bytes, int]:
        """Wait for one frame; return its body and its ticket.

        wanted: ticket of the only frame that may come; None accepts any.
        Raises ChannelClosedError, ChannelLateError, and ChannelError as soon as a frame's head is wrong.
        """
        self._fill(HEAD.size)
        size, ticket = HEAD.unpack_from(self.received)
        if wanted is not None and ticket != wanted:
            raise ChannelError("got bytes that answer no request")
        if size > self.most_bytes:
            raise ChannelError(f"got a frame of {size} bytes, wanted at most {self.most_bytes}")
        end = HEAD.size + size
        self._fill(end)
        body = bytes(self.received[HEAD.size : end])
        del self.received[:end]
        return body, ticket

    def ask(self, body: bytes) -> int:
        """Send a request; return its ticket. Raises ChannelClosedError."""
        if not self.tickets:
            self.tickets.extend(struct.unpack(f"<{TICKETS}Q", secrets.token_bytes(8 * TICKETS)))
        ticket = self.tickets.pop()
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
                self._limit_wait()
                chunk = self.end.recv(CHUNK_BYTES)
            except TimeoutError:
                raise ChannelLateError from None
            except OSError:
                chunk = b""
            if not chunk:
                raise ChannelClosedError
            self.received += chunk

    def _limit_wait(self) -> None:
        """Let the next operation wait no longer than is left."""
        if self.until is not None:
            self.end.settimeout(max(self.until - time.monotonic(), LEAST_WAIT_S))
