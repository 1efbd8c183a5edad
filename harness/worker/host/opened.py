"""Files that the code of a backend opens: a table that it reads decides what it does, as its modules do.

Files are heard of as Python opens them; what native code opens by itself is not seen.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Collection, Iterator
from pathlib import Path

import harness

SITES = ("site-packages", "dist-packages")
CODE = (".py", ".pyc", ".so", ".pth")  # seen as modules and libraries
MOST = 10_000  # files that are kept


class Opened:
    """Files opened by code that is neither Python's nor the harness's.

    plugins: names of top-level packages of the backend. A file whose path names another package that opens it, such as
    a cache of fonts, is that package's own.
    """

    def __init__(self, plugins: Collection[str]) -> None:
        """Keep nothing yet."""
        self.files: set[str] = set()
        self.plugins = frozenset(plugins)
        self.python = tuple({sysconfig.get_path(name) + os.sep for name in ("stdlib", "platstdlib")})
        self.harness = f"{os.path.dirname(os.path.realpath(str(harness.__file__)))}{os.sep}"

    def hear(self, event: str, arguments: tuple[object, ...]) -> None:
        """Keep the file of an event of Python's audit, if it is one of opening a file."""
        if event != "open" or not arguments or not isinstance(arguments[0], str | bytes):
            return
        name = os.fsdecode(arguments[0])
        if name.endswith(CODE) or len(self.files) >= MOST:
            return
        path = os.path.realpath(name)
        if path.startswith(("/proc/", "/dev/", "/sys/")) or not self._is_of_backend(path):
            return
        self.files.add(path)

    def _is_of_backend(self, path: str) -> bool:
        """Return True if the innermost code that is not Python's is not the harness's, nor a package's on its own."""
        callers = [name for name in list_callers() if not name.startswith(self.python) or _find_package(name)]
        if not callers or callers[0].startswith(self.harness):
            return False
        packages = {_find_package(name) for name in callers} - self.plugins - {""}
        return packages.isdisjoint(Path(path).parts)


def list_callers() -> Iterator[str]:
    """Yield the files of the functions that are running, the innermost first, without those of this module."""
    import inspect

    frame = inspect.currentframe()
    while frame is not None:
        name = frame.f_code.co_filename
        if name.startswith("/") and name != __file__:
            yield name
        frame = frame.f_back


def _find_package(file: str) -> str:
    """Return the name of the installed package that a file belongs to; "" if it belongs to none."""
    parts = Path(file).parts
    at = next((number for number, part in enumerate(parts) if part in SITES), len(parts))
    return Path(parts[at + 1]).stem if at + 1 < len(parts) else ""


def watch_opens(plugins: Collection[str]) -> Opened:
    """Keep the files that are opened from now on, in this process. plugins: names or files of the backend's plugins."""
    opened = Opened([name.partition(".")[0] for name in plugins if not name.endswith(".py")])
    sys.addaudithook(opened.hear)
    return opened
