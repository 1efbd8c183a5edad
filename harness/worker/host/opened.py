"""Files that the code of a backend opens: a table that it reads decides what it does, as its modules do.

Files are heard of as Python opens them; what native code opens by itself is not seen.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Collection, Iterator
from functools import lru_cache
from pathlib import Path

import harness
from harness.worker.protocol import MOST_OPENED

SITES = ("site-packages", "dist-packages")
CODE = (".py", ".pyc", ".so", ".pth")  # seen as modules and libraries
OPEN = "/proc/self/fd"  # what this process has open


class Opened:
    """Files opened by code that is neither Python's nor the harness's.

    plugins: names of top-level packages of the backend. A file whose path names another package that opens it, such as
    a cache of fonts, is that package's own.
    files: real path of each, and whether what it held has been read, not only written.
    overfull: whether there are more than are kept.
    """

    def __init__(self, plugins: Collection[str]) -> None:
        """Keep nothing yet."""
        self.files: dict[str, bool] = {}
        self.overfull = False
        self.plugins = frozenset(plugins)
        self.python = tuple({find_real(sysconfig.get_path(name)) + os.sep for name in ("stdlib", "platstdlib")})
        self.harness = f"{os.path.dirname(find_real(str(harness.__file__)))}{os.sep}"

    def hear(self, event: str, arguments: tuple[object, ...]) -> None:
        """Keep the file of an event of Python's audit, if it is one of opening a file."""
        if event != "open" or not arguments or not isinstance(arguments[0], str | bytes | os.PathLike):
            return
        name = os.fsdecode(arguments[0])
        if name.endswith(CODE) or self.overfull:
            return
        mode, flags = (*arguments[1:3], None, None)[:2]
        read = _reads(flags)
        for path in _find_paths(name, from_folder=mode is None):
            known = self.files.get(path)
            if known or known == read or path.startswith(("/proc/", "/dev/", "/sys/")):
                continue
            if self._is_of_backend(path):
                self.files[path] = read
        if len(self.files) >= 2 * MOST_OPENED:
            for path in [path for path in tuple(self.files) if not os.path.exists(path)]:  # temporary ones
                self.files.pop(path, None)
            self.overfull = len(self.files) > MOST_OPENED

    def _is_of_backend(self, path: str) -> bool:
        """Return True if the innermost code that is not Python's is not the harness's, nor a package's on its own."""
        callers = [
            name for name in list_callers() if not find_real(name).startswith(self.python) or _find_package(name)
        ]
        if not callers or find_real(callers[0]).startswith(self.harness):
            return False
        packages = {_find_package(name) for name in callers} - self.plugins - {""}
        return packages.isdisjoint(Path(path).parts)


@lru_cache(maxsize=4096)
def find_real(file: str) -> str:
    """Return the real path of a file of code."""
    return os.path.realpath(file)


def _reads(flags: object) -> bool:
    """Return True if the flags of an opened file let a program read what the file held before."""
    if not isinstance(flags, int):
        return True
    return flags & os.O_ACCMODE != os.O_WRONLY and not flags & (os.O_TRUNC | os.O_EXCL)


def _find_paths(name: str, *, from_folder: bool) -> set[str]:
    """Return the real paths that the name of an opened file may mean.

    from_folder: whether a relative name may start at an open folder (`dir_fd`). The event names none.
    """
    if not from_folder or os.path.isabs(name):
        return {os.path.realpath(name)}
    found = {os.path.realpath(os.path.join(folder, name)) for folder in (os.curdir, *_list_open_folders())}
    return {path for path in found if os.path.exists(path)} or found


def _list_open_folders() -> list[str]:
    """Return the folders that this process has open; none if the system does not provide the list."""
    try:
        links = [os.path.join(OPEN, number) for number in os.listdir(OPEN)]
    except OSError:
        return []
    return [os.path.realpath(link) for link in links if os.path.isdir(link)]


def list_callers() -> Iterator[str]:
    """Yield the files of the functions that are running, the innermost first, without those of this module."""
    import inspect

    frame = inspect.currentframe()
    while frame is not None:
        name = frame.f_code.co_filename
        if name.startswith("/") and name != __file__:
            yield name
        frame = frame.f_back


@lru_cache(maxsize=4096)
def _find_package(file: str) -> str:
    """Return the name of the installed package that a file belongs to; "" if it belongs to none."""
    parts = Path(file).parts
    at = next((number for number, part in enumerate(parts) if part in SITES), len(parts))
    return Path(parts[at + 1]).stem if at + 1 < len(parts) else ""


def list_packages(plugins: Collection[str], extra: Collection[str] = ()) -> frozenset[str]:
    """Return the top-level packages of plugins; those of an installed one are not named as its entry point is.

    plugins: names. extra: modules and files among them that were named by the user.
    """
    from harness.git import names_file
    from harness.plugins.entries import find_entries
    from harness.plugins.manager import BUILTIN

    found = {name.partition(".")[0] for name in (*plugins, *extra) if not names_file(name)}
    installed = set(plugins) - {*BUILTIN, *extra}
    for entry in find_entries(BUILTIN)[0] if installed else ():
        if entry.name in installed:
            files = (entry.dist.files if entry.dist is not None else None) or ()
            found |= {entry.module.partition(".")[0], *(Path(file.parts[0]).stem for file in files)}
    return frozenset(found)


def watch_opens(plugins: Collection[str], extra: Collection[str] = ()) -> Opened:
    """Keep the files that are opened from now on, in this process.

    plugins: names of the backend's plugins. extra: modules and files among them that were named by the user.
    """
    opened = Opened(list_packages(plugins, extra))
    sys.addaudithook(opened.hear)
    return opened
