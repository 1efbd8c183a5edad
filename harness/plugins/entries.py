"""Entry points of installed packages, each under a name of its own, and the source files of plugins."""

from __future__ import annotations

from collections.abc import Collection
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from harness.plugins.hookspecs import PROJECT
from harness.plugins.searching import find_module_file


def find_entries(builtin: Collection[str]) -> tuple[list[EntryPoint], list[tuple[str, UsageError]]]:
    """Return the entry points, and by name what is wrong with others, which would take the place of a plugin.

    builtin: names of the built-in plugins. A package that is found twice names the same plugin, which is no clash.
    """
    entries: dict[str, EntryPoint] = {}
    clashes: dict[str, UsageError] = {}
    for entry in entry_points(group=PROJECT):
        if entry.name in builtin:
            whose = "a built-in plugin"
        elif entries.setdefault(entry.name, entry).value != entry.value:
            whose = f"the entry point '{entries[entry.name].value}'"
        else:
            continue
        why = f"entry point: got the name '{entry.name}', which is that of {whose}, wanted one of its own"
        clashes[f"{entry.name} = {entry.value}"] = UsageError(why)
    return list(entries.values()), list(clashes.items())


def find_file(source: Any) -> Path | None:
    """Return the source file of a plugin that is not built in, without importing it; None if there is none.

    source: path, name of a module, or entry point.
    """
    if isinstance(source, Path):
        return source
    return find_module_file(source, here=True) if isinstance(source, str) else find_module_file(source.module)
