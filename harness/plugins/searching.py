"""The search path for modules: only processes that run a plugin of others look in the user's folder.

Python puts the current folder first, where a backend may write a module with the name of any other. A process that
judges would import it when it next needs that module.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType

import harness

# Starts a module in a process whose search path has installed packages alone. Sources that are not installed are added
# at its end, where they hide nothing.
CLOSED = (
    "import importlib.util, runpy, sys; root, module = sys.argv[1:3]; del sys.argv[1:3]; "
    "importlib.util.find_spec('harness') or sys.path.append(root); "
    "runpy.run_module(module, run_name='__main__', alter_sys=True)"
)


def start_command(module: str, *, folder: bool) -> list[str]:
    """Return the command that runs a module of the harness in a new process; its arguments follow.

    folder: whether it finds modules in the current folder.
    """
    if folder:
        return [sys.executable, "-m", module]
    return [sys.executable, "-P", "-c", CLOSED, str(Path(harness.__file__).parents[1]), module]


def close_folder() -> None:
    """Take out of the search path what Python put first for the command: the current folder, or that of the script."""
    if sys.flags.safe_path or not sys.path:
        return
    first = ["", os.path.dirname(os.path.abspath(sys.argv[0]))]
    with suppress(OSError):  # a folder that was removed
        first.append(os.getcwd())
    if sys.path[0] in first:
        del sys.path[0]


def open_folder() -> None:
    """Let the current folder be searched last, for a plugin of others that is imported here, unless `-P` forbids it."""
    if not sys.flags.safe_path:
        append_folder()


def append_folder() -> None:
    """Let the current folder be searched last."""
    with suppress(OSError):
        folder = os.getcwd()
        if not {"", folder} & set(sys.path):
            sys.path.append(folder)


def import_module(name: str) -> ModuleType:
    """Import a module of the user's; where the current folder is searched last, its package there comes first.

    Otherwise an installed version would be taken for the sources in the folder, which workers load.
    """
    package, folder = name.partition(".")[0], sys.path[-1:]
    if package not in sys.modules and _is_current(folder):
        spec = PathFinder.find_spec(package, folder)
        if spec is not None and spec.origin is not None:  # None: a folder without an __init__.py
            module = importlib.util.module_from_spec(spec)
            sys.modules[package] = module
            try:
                assert spec.loader is not None
                spec.loader.exec_module(module)
            except BaseException:
                del sys.modules[package]
                raise
    return importlib.import_module(name)


def find_module_file(name: str, *, here: bool = False) -> Path | None:
    """Return the source file of a module as it would be imported here, without importing it; None if there is none.

    name: of the module. here: whether a package of the current folder comes first, as in `import_module`.
    """
    top, *inner = name.split(".")
    with suppress(OSError):
        if here and not sys.flags.safe_path and (own := _choose_file([Path.cwd().joinpath(top, *inner)])) is not None:
            return own
    try:
        spec = importlib.util.find_spec(top)
    except ValueError:  # a module without a spec, created at run time
        return None
    if spec is None:
        return None
    roots = spec.submodule_search_locations
    return _choose_file([Path(root, *inner) for root in roots] if roots else [Path(spec.origin or "").with_suffix("")])


def _choose_file(bases: Iterable[Path]) -> Path | None:
    """Return the first source file of a module; bases: its possible paths without a suffix."""
    candidates = (file for base in bases for file in (base / "__init__.py", base.with_suffix(".py")))
    return next((file.resolve() for file in candidates if file.is_file()), None)


def _is_current(folder: Iterable[str]) -> bool:
    with suppress(OSError):
        return os.getcwd() in folder
    return False
