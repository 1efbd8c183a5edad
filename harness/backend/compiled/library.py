"""A shared library with the C interface: its table of functions, checked when it is loaded."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.backend.compiled.header import HEADER
from harness.backend.compiled.structures import ABI, OPERATORS, Table
from harness.errors import UsageError
from harness.problems.operator import Operator

ENTRY = "harness_get_backend"


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """The functions of a backend in a shared library.

    file: its path. table: keeps the addresses. description: JSON text. operators: functions by operator.
    """

    file: Path
    table: Table
    description: bytes
    operators: dict[Operator, Callable[..., bytes | None]]

    def find(self, name: str) -> Callable[..., Any] | None:
        """Return a function of the table by its name; None if it is absent."""
        function: Any = getattr(self.table, name)
        return function if function else None  # a pointer is false if it is NULL


def open_library(file: Path) -> Library:
    """Load a library and read its table. Raises UsageError for a file that is no backend."""
    try:
        loaded = ctypes.CDLL(str(file))
    except OSError as error:
        raise UsageError(f"the library cannot be loaded: {error}") from None
    try:
        entry = getattr(loaded, ENTRY)
    except AttributeError:
        raise UsageError(f"the library has no function {ENTRY}, wanted one as {HEADER} declares it") from None
    entry.restype = ctypes.POINTER(Table)
    found = entry()
    if not found:
        raise UsageError(f"{ENTRY} gave NULL, wanted the address of a harness_backend")
    table: Table = found.contents
    if table.abi != ABI:
        raise UsageError(f"abi: got {table.abi}, wanted {ABI} (HARNESS_ABI), as {HEADER} has it")
    if table.size != ctypes.sizeof(Table):
        raise UsageError(
            f"size: got {table.size}, wanted {ctypes.sizeof(Table)}, which is sizeof(harness_backend) in {HEADER}"
        )
    if table.description is None:
        raise UsageError('description: got NULL, wanted JSON such as {"name": "mine"}')
    operators = {one: getattr(table, one.value) for one in OPERATORS if getattr(table, one.value)}
    if bool(table.prepare) != bool(table.destroy):
        raise UsageError("prepare and destroy: got one of them, wanted both, or NULL twice")
    return Library(file=file, table=table, description=table.description, operators=operators)
