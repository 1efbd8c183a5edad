"""Reading of TOML of unknown origin: keys of many parts are refused before the reader, whose time they square."""

from __future__ import annotations

import re
import tomllib
from typing import Any

MOST_PARTS = 64  # of a dotted key, for which tomllib needs time that grows with their square
PART = r"""(?:(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+)"""
DEEP_KEY = re.compile(rf"(?<![\w-]){PART}{{{MOST_PARTS}}}")


class DeepKeyError(ValueError):
    """A key of more parts than are read."""


def parse_toml(text: str) -> dict[str, Any]:
    """Parse a document. Raises ValueError for what is no TOML or has a key of many parts, RecursionError."""
    if DEEP_KEY.search(text):
        raise DeepKeyError(f"it has a key of more than {MOST_PARTS} parts, wanted plain keys")
    return tomllib.loads(text)
