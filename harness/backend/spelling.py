"""Names that a backend defines and that are probably meant for a name that the harness looks up.

A misspelt operator or hook is never called: the operator is derived or the default taken, and nothing fails. A name is
suspected only where what it is taken for is absent in the backend, so that a helper beside an operator is left alone.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

# Other words of the field for those that operators and hooks are named with.
_SYNONYMS = {
    "average": "avg", "mean": "avg", "maximum": "max", "convolution": "conv", "convolve": "conv", "pooling": "pool",
    "gradient": "grad", "backward": "grad", "backwards": "grad", "bwd": "grad", "filter": "weight", "kernel": "weight",
    "data": "input", "transposed": "transpose",
}  # fmt: skip
_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")
_AXES = re.compile(r"_?[1-3][dD]|[0-9]+")  # of conv2d, which is no other operator than conv
_APART = ({"get", "set"}, {"to", "from"})  # one letter or word apart, and no slip of the pen
_LEAST = 6  # letters below which one other letter makes another word


def find_meant(name: str, absent: Collection[str], known: Iterable[str]) -> str | None:
    """Find which of the names that a backend lacks is meant by one that it has; None where none is.

    absent: those of `known` that the backend does not define.
    """
    for one in absent:
        if _is_near(name, one):
            return one
    shortened = [one for one in known if _is_shortened(split_words(name), split_words(one))]
    return shortened[0] if shortened and all(one in absent for one in shortened) else None


def split_words(name: str) -> tuple[str, ...]:
    """Split a name into lower-case words in the singular, with the field's other words replaced."""
    singular = [word[:-1] if len(word) > 5 and word.endswith("s") else word for word in _split(name)]
    return tuple(_SYNONYMS.get(word, word) for word in singular)


def _split(name: str) -> list[str]:
    return [word.lower() for word in _WORDS.findall(_AXES.sub("", name))]


def _is_near(name: str, known: str) -> bool:
    """Whether two names have the same words in any order, or differ by one letter or a swap of two in all."""
    got, wanted = split_words(name), split_words(known)
    if sorted(got) == sorted(wanted) or "".join(got) == "".join(wanted):
        return True
    if any(set(got) ^ set(wanted) == pair for pair in _APART):
        return False
    one, other = "".join(_split(name)), "".join(_split(known))
    return min(len(one), len(other)) >= _LEAST and _is_one_slip(one, other)


def _is_shortened(got: tuple[str, ...], known: tuple[str, ...]) -> bool:
    """Whether a name of a gradient leaves out one word, as input_grad and conv_grad do."""
    return "grad" in got and 1 < len(got) == len(known) - 1 and set(got) < set(known)


def _is_one_slip(one: str, other: str) -> bool:
    """Whether one letter was changed, left out or added, or two neighbours swapped."""
    start = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    a, b = one[start:], other[start:]
    return a[1:] == b[1:] or a[1:] == b or a == b[1:] or (a[:2] == b[1::-1] and a[2:] == b[2:])
