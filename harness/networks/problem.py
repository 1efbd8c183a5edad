"""The problem of a whole network, and its line.

    network NAME WORK [OPTION=...] [n=] [size=] [dtype=] [seed=] [mixed=]

WORK is `forward` or `step`. Defaults are omitted: n 1, native size, float32, seed 0, no partner backend.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, ClassVar

from harness.errors import GeometryError, LineError, unknown
from harness.networks.architecture import Architecture
from harness.networks.graph import WORKS, Network, Work
from harness.problems.numerics import DTYPES, Dtype
from harness.problems.problem import ITEM_BYTES
from harness.problems.validation import read_word

WORD = "network"  # first word of a network's problem line
FIELDS = ("n", "size", "dtype", "seed", "mixed")  # of every network; all others are options of its architecture


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkProblem:
    """An architecture with everything that determines its result: batch, input size, dtype, seed of all values.

    work: `forward` computes the output, `step` also the loss and all gradients. size: 0 stands for the native size.
    mixed: partner backend, which computes every second operator and all that the backend lacks; empty for none.
    Raises GeometryError if the layers do not fit at that size.
    """

    architecture: Architecture
    work: Work
    n: int = 1
    size: int = 0
    dtype: Dtype = "float32"
    seed: int = 0
    mixed: str = ""
    options: tuple[tuple[str, int], ...] = ()

    data: ClassVar[str] = "network"

    def __post_init__(self) -> None:
        """Validate the fields before anything is computed."""
        if self.size and {*self.architecture.input[1:]} == {self.size}:
            object.__setattr__(self, "size", 0)  # one problem has one line
        if self.n < 1 or self.size < 0 or self.seed < 0:
            raise GeometryError(f"{self.line}: wanted n of at least 1, and no negative size or seed")
        for name, words in (("work", WORKS), ("dtype", DTYPES)):
            object.__setattr__(self, name, read_word(name, getattr(self, name), words))
        try:
            draw_network(self.architecture, self.n, self.size, self.dtype, self.options)
        except GeometryError as error:
            raise GeometryError(f"{error}; the line was: {self.line}") from None

    @property
    def network(self) -> Network:
        """The graph."""
        return draw_network(self.architecture, self.n, self.size, self.dtype, self.options)

    @property
    def flops(self) -> int:
        """Operations of all operators in the pass; other operations are not counted."""
        return sum(problem.flops * count for problem, count in self.network.layers(self.work).items())

    @property
    def bytes(self) -> int:
        """Bytes of activations and parameters in memory at once, and of their gradients in a step."""
        held = self.network.count(statistics=True) * ITEM_BYTES[self.dtype] * (2 if self.work == "step" else 1)
        return held + self.network.activation_bytes(self.work) * (2 if self.work == "step" else 1)

    @property
    def line(self) -> str:
        """The canonical one-line text."""
        parts = [WORD, self.architecture.name, self.work]
        parts += [f"{name}={value}" for name, value in self.options if value != self.architecture.options.get(name)]
        for name, default in (("n", 1), ("size", 0), ("dtype", "float32"), ("seed", 0), ("mixed", "")):
            if getattr(self, name) != default:
                parts.append(f"{name}={getattr(self, name)}")
        return " ".join(parts)

    def with_(self, **changes: Any) -> NetworkProblem:
        """Return a copy with some fields changed."""
        return replace(self, **changes)


@lru_cache(maxsize=64)
def draw_network(
    architecture: Architecture, n: int, size: int, dtype: Dtype, options: tuple[tuple[str, int], ...]
) -> Network:
    """Build the graph of an architecture; cached.

    n: batch size. size: of every spatial axis, 0 for the native shape. options: (name, value) pairs.
    """
    return architecture.draw(n, size, dtype, dict(options))


def split_line(line: str) -> tuple[str, Work, str]:
    """Split the line of a network into name with options, pass, and the fields n, size, dtype, seed and mixed."""
    _, name, work, *fields = line.split()
    given = [word for word in fields if word.partition("=")[0] in FIELDS]
    return (
        " ".join([name, *(word for word in fields if word not in given)]),
        read_word("work", work, WORKS),
        " ".join(given),
    )


def is_network_line(line: str) -> bool:
    """Return True if a problem line is that of a network."""
    return line.lstrip().startswith(WORD) and line.split(maxsplit=1)[0] == WORD


def parse_network(line: str, architectures: Mapping[str, Architecture]) -> NetworkProblem:
    """Parse the line of a network problem. Raises LineError with the column, or GeometryError.

    architectures: known networks by name.
    """
    words = [(found.group(), found.start()) for found in re.finditer(r"\S+", line)]
    if len(words) < 3 or words[2][0] not in WORKS:
        raise LineError(
            f"got '{line}', wanted 'network NAME forward' or 'network NAME step'", line, words[-1][1] if words else 0
        )
    name, column = words[1]
    if name not in architectures:
        error = unknown("network", name, architectures, "python -m harness list networks")
        raise LineError(str(error), line, column)
    architecture, fields = architectures[name], {}
    for word, column in words[3:]:
        key, equals, value = word.partition("=")
        known = (*FIELDS, *architecture.options)
        if key not in known or not equals or key in fields:
            raise LineError(
                f"got '{word}', wanted each of {', '.join(f'{k}=' for k in known)} at most once", line, column
            )
        if key not in ("dtype", "mixed") and not re.fullmatch(r"[0-9]{1,9}", value):
            raise LineError(f"{key}: got '{value}', wanted a whole number", line, column)
        fields[key] = value
    return NetworkProblem(
        architecture=architecture, work=read_word("work", words[2][0], WORKS), n=int(fields.get("n", 1)),
        size=int(fields.get("size", 0)), dtype=read_word("dtype", fields.get("dtype", "float32"), DTYPES),
        seed=int(fields.get("seed", 0)), mixed=fields.get("mixed", ""),
        options=tuple((key, int(fields[key])) for key in architecture.options if key in fields),
    )  # fmt: skip
