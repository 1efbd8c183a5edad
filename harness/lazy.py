"""Public names that are imported when they are first used, so that importing a package stays cheap (PEP 562)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def load_lazily(
    package: str, names: Mapping[str, str], modules: tuple[str, ...] = ()
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Make the `__getattr__` and the `__dir__` of a package that names what its submodules hold.

    package: its dotted name. names: submodule -> names that it holds, separated by blanks. modules: submodules that are
    public themselves. The first function raises AttributeError for a name that is not public.
    """
    home_of = {name: f"{package}.{module}" for module, held in names.items() for name in held.split()}

    def get(name: str) -> Any:
        if name in modules:
            return import_module(f"{package}.{name}")
        if name not in home_of:
            raise AttributeError(f"module '{package}' has no public name '{name}'")
        value = getattr(import_module(home_of[name]), name)
        setattr(sys.modules[package], name, value)
        return value

    def list_names() -> list[str]:
        return sorted((*home_of, *modules))

    return get, list_names
