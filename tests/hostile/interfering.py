"""Backends that interfere with the messages between their process and the judge's, or with the start of either."""

import gc
import os
import socket
import time

import harness
from harness.worker.wire.channel import HEAD
from harness.worker.wire.messages import DrawSeed, Replies, Value, encoder
from tests.faulty.right import Right


def find_channel():
    """The socket on which the backend's process is asked."""
    for descriptor in range(3, 64):
        try:
            end = socket.socket(fileno=os.dup(descriptor))
        except OSError:
            continue
        if end.family == socket.AF_UNIX:
            return end
    raise AssertionError("no socket")


def find_ticket():
    """The number that the reply to the current request must repeat."""
    return next(one.ticket for one in gc.get_objects() if type(one).__name__ == "RemoteJudge")


class Interferes(Right):
    """Base: right, but it interferes first."""

    def conv(self, x, w, b, window):
        self.interfere()
        return super().conv(x, w, b, window)

    def interfere(self):
        """Do what the subclass is about."""


class FourBytes(Interferes):
    name = "interfering:four-bytes"

    def interfere(self):
        find_channel().sendall(b"\x00\x01\x02\x03")
        time.sleep(600)


class HalfAHead(Interferes):
    name = "interfering:half-a-head"

    def interfere(self):
        find_channel().sendall(HEAD.pack(9, find_ticket())[:7])
        time.sleep(600)


class ClaimsTooMuch(Interferes):
    name = "interfering:claims-2-gib"

    def interfere(self):
        find_channel().sendall(HEAD.pack(2**31, find_ticket()))
        time.sleep(600)


class NeverFinishes(Interferes):
    name = "interfering:one-byte-at-a-time"

    def interfere(self):
        end = find_channel()
        end.sendall(HEAD.pack(2**20, find_ticket()))
        while True:
            end.sendall(b"x")
            time.sleep(0.2)


class AsksForEver(Interferes):
    name = "interfering:questions"

    def interfere(self):
        end, body = find_channel(), encoder.encode(DrawSeed())
        while True:
            end.sendall(HEAD.pack(len(body), find_ticket()) + body)


class Floods(Interferes):
    name = "interfering:flood"

    def interfere(self):
        end, body = find_channel(), encoder.encode(Replies(()))
        for number in range(100_000):
            end.sendall(HEAD.pack(len(body), number) + body)


class AnswersWithAnother(Interferes):
    """A reply of the right number and of another kind."""

    name = "interfering:another-kind"

    def interfere(self):
        body = encoder.encode(Replies((Value(1),)))
        find_channel().sendall(HEAD.pack(len(body), find_ticket()) + body)
        time.sleep(600)


class ForgesAPeak(Right):
    """Answers every request of the run with rates of the machine."""

    name = "interfering:forges-a-peak"

    def prepare(self, problem, arrays):
        from harness.record.run import Peak
        from harness.worker.host import serving
        from harness.worker.protocol import Measured

        forged = Measured(Peak(device="cpu", gemm_gflops={"float32": 1e9}, copy_gbs=1e9))
        serving.answer = lambda *a, **k: forged
        raise ValueError("asked again, it says something else")


class HangsInProbe(Right):
    name = "interfering:hangs-in-probe"

    def probe(self):
        time.sleep(600)


class TalksInProbe(Right):
    """A reason that is long, and an escape sequence."""

    name = "interfering:talks-in-probe"

    def probe(self):
        return "\x1b[31mno" + "n" * 10**7


BACKENDS = (
    FourBytes, HalfAHead, ClaimsTooMuch, NeverFinishes, AsksForEver, Floods, AnswersWithAnother, ForgesAPeak,
    HangsInProbe,
    TalksInProbe,
)  # fmt: skip


@harness.hookimpl
def register_backends(register):
    for backend in BACKENDS:
        register(backend())
