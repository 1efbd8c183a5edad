"""Names defined by a backend that were probably meant as names that the harness looks up.

A misspelt operator or hook is never called: the operator is derived or the default is used, and nothing fails. A name
is suspected only if the backend lacks the name it resembles, so that a helper of an existing operator is left alone.
"""

from __future__ import annotations

import re
from functools import cache

# Synonyms in the field of the words in names of operators and hooks.
_SYNONYMS = {
    "average": "avg", "mean": "avg", "maximum": "max", "convolution": "conv", "convolve": "conv", "pooling": "pool",
    "gradient": "grad", "backward": "grad", "backwards": "grad", "bwd": "grad", "filter": "weight", "kernel": "weight",
    "data": "input", "transposed": "transpose",
}  # fmt: skip
_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")
_AXES = re.compile(r"_?[1-3][dD]|[0-9]+")  # in conv2d, which is the same operator as conv
_APART = ({"get", "set"}, {"to", "from"})  # similar words that differ on purpose
_LEAST = 6  # in shorter names, a different letter makes a different word


@cache
def find_meant(name: str, absent: tuple[str, ...], known: tuple[str, ...]) -> str | None:
    """Find the missing name that a defined name probably stands for; None if there is none.

    name: a name that the backend defines. absent: the names of `known` that it does not define.
    known: names that the harness looks up.
    Backends of one family define the same names: without the cache, a thousand of them take seconds to register.
    """
    for one in absent:
        if _is_near(name, one):
            return one
    shortened = [one for one in known if _is_shortened(split_words(name), split_words(one))]
    return shortened[0] if shortened and all(one in absent for one in shortened) else None


@cache
def split_words(name: str) -> tuple[str, ...]:
    """Split a name into lower-case words in the singular, with synonyms replaced."""
    singular = [word[:-1] if len(word) > 5 and word.endswith("s") else word for word in _split(name)]
    return tuple(_SYNONYMS.get(word, word) for word in singular)


def _split(name: str) -> list[str]:
    return [word.lower() for word in _WORDS.findall(_AXES.sub("", name))]


def _is_near(name: str, known: str) -> bool:
    """True if two names have the same words in any order, or differ by one slip in all."""
    got, wanted = split_words(name), split_words(known)
    if sorted(got) == sorted(wanted) or "".join(got) == "".join(wanted):
        return True
    if any(set(got) ^ set(wanted) == pair for pair in _APART):
        return False
    one, other = "".join(_split(name)), "".join(_split(known))
    return min(len(one), len(other)) >= _LEAST and _is_one_slip(one, other)


def _is_shortened(got: tuple[str, ...], known: tuple[str, ...]) -> bool:
    """True if the name of a gradient leaves out one word, as input_grad and conv_grad do."""
    return "grad" in got and 1 < len(got) == len(known) - 1 and set(got) < set(known)


def _is_one_slip(one: str, other: str) -> bool:
    """True if one letter was changed, left out or added, or two neighbours swapped."""
    start = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    a, b = one[start:], other[start:]
    return a[1:] == b[1:] or a[1:] == b or a == b[1:] or (a[:2] == b[1::-1] and a[2:] == b[2:])
