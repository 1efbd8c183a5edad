"""The pipe for the output of the backend's process: this process copies what comes to its own log.

The backend's process therefore has no descriptor of a file of the run. Nothing that it prints makes it wait for long:
what exceeds MOST_BYTES is read all the same, and only its end is kept, as the last words of a crash are there.
"""

from __future__ import annotations

import os
import threading

MOST_BYTES = 2**24
TAIL_BYTES = 2**16
CHUNK_BYTES = 2**16
FINISH_S = 0.5  # for what is in the pipe when the process has ended; its descendants may hold the pipe open


class Output:
    """A pipe, and the thread that copies it."""

    def __init__(self, log: int = 2) -> None:
        """Copy to a descriptor of this process, standard error by default."""
        self.log, self.copied, self.dropped, self.tail = log, 0, 0, b""
        self.source, self.target = os.pipe()
        self.lock = threading.Lock()
        self.thread = threading.Thread(target=self._copy, daemon=True)

    def begin(self) -> None:
        """Begin to copy, when the process has its own descriptor of the pipe."""
        os.close(self.target)
        self.thread.start()

    def finish(self) -> None:
        """Copy what is left, when the process has ended."""
        self.thread.join(FINISH_S)
        self._write_tail()

    def _copy(self) -> None:
        while chunk := os.read(self.source, CHUNK_BYTES):
            with self.lock:
                room = max(0, MOST_BYTES - self.copied)
                self._write(chunk[:room])
                rest = self.tail + chunk[room:]
                self.tail = rest[-TAIL_BYTES:]
                self.dropped += len(rest) - len(self.tail)
        os.close(self.source)
        self._write_tail()

    def _write_tail(self) -> None:
        with self.lock:
            note = f"\n({self.dropped} bytes of output left out)\n".encode() if self.dropped else b""
            rest, self.tail, self.dropped = note + self.tail, b"", 0
            self._write(rest)

    def _write(self, data: bytes) -> None:
        self.copied += len(data)
        while data:
            try:
                data = data[os.write(self.log, data) :]
            except OSError:  # a full disk: the backend must not wait for it
                return
