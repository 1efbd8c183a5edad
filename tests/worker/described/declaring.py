"""Backends that attack the harness where they are only asked what they declare, or declare what cannot be."""

import os
import signal
import socket
import sys
import time

import harness
from tests.faulty.right import Right


def _channels():
    """The sockets of this process: the one on which it is asked."""
    for descriptor in range(3, 64):
        try:
            yield socket.socket(fileno=os.dup(descriptor))
        except OSError:
            continue


def _write(data):
    for one in _channels():
        one.sendall(data)


def _raise(error):
    raise error


def _spin():
    while True:
        pass


class Blank(str):
    def __str__(self):
        raise ValueError("no text")


def _mutated(**fields):
    """A Numerics that no constructor would make."""
    made = harness.Numerics()
    for name, value in fields.items():
        object.__setattr__(made, name, value)
    return made


SUPPORTS = {
    "exits-with-0": lambda: os._exit(0),
    "sys-exit-0": lambda: sys.exit(0),
    "keyboard-interrupt": lambda: _raise(KeyboardInterrupt()),
    "kills-itself": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "stops": lambda: os.kill(os.getpid(), signal.SIGSTOP),
    "spins": _spin,
    "sleeps": lambda: time.sleep(10**6),
    "prints": lambda: print("\x1b[31mno\x1b[0m " * 10**5),
    "writes-garbage": lambda: _write(b"\xff" * 64),
    "writes-a-head": lambda: _write(b"\x08\x00\x00\x00" + bytes(8) + b"\xc0" * 8),
    "closes-all-descriptors": lambda: os.closerange(3, 256),
    "raises-usage-error": lambda: _raise(harness.UsageError("use it in another way")),
    "raises-what-has-no-text": lambda: _raise(ValueError(Blank("x"))),
    "gives-true": lambda: True,
    "gives-empty": lambda: "",
    "gives-much": lambda: "much " * 10**6,
    "gives-surrogates": lambda: "\udc80",
    "gives-bytes": lambda: b"no",
}
NUMERICS = {
    "numerics-none": lambda: None,
    "numerics-of-a-dict": lambda: {"algorithm": "fft"},
    "numerics-raises": lambda: _raise(LookupError("no numerics")),
    "numerics-huge-tile": lambda: _mutated(tile=10**30),
    "numerics-wrong-word": lambda: _mutated(algorithm="magic"),
    "numerics-of-objects": lambda: _mutated(nan_local=object()),
    "numerics-nested": lambda: _mutated(accumulator={"float32": [["float64"]]}),
}
WORK = {
    "work-nan": lambda: float("nan"),
    "work-infinite": lambda: float("inf"),
    "work-negative": lambda: -1,
    "work-text": lambda: "many",
    "work-beyond-float": lambda: 10**400,
    "work-exits": lambda: sys.exit(0),
}
WORKSPACE = {
    "workspace-nan": lambda: float("nan"),
    "workspace-beyond-64-bits": lambda: 2**80,
    "workspace-none": lambda: None,
}


def _make(method, name, answer):
    members = {"name": f"declaring:{name}", method: lambda self, problem: answer()}
    return type(name, (Right,), members)()


@harness.hookimpl
def register_backends(register):
    for method, answers in (
        ("supports", SUPPORTS), ("numerics_for", NUMERICS), ("work", WORK), ("workspace", WORKSPACE),
    ):  # fmt: skip
        for name, answer in answers.items():
            register(_make(method, name, answer))
