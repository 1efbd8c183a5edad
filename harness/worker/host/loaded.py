"""Files loaded by this process: its modules and the libraries mapped into it."""

from __future__ import annotations

import os
import site
import sys
import sysconfig
from pathlib import Path

MAPS = Path("/proc/self/maps")
PATH_COLUMN = 5  # of a line of the map: address, rights, offset, device, inode, path


def list_loaded() -> tuple[str, ...]:
    """Return the real paths of all modules and mapped files of this process, sorted."""
    modules = (getattr(module, "__file__", None) for module in list(sys.modules.values()))
    found = {os.path.realpath(name) for name in modules if isinstance(name, str) and name.startswith("/")}
    return tuple(sorted(found | _list_mapped()))


def _list_mapped() -> set[str]:
    """Return the files that are mapped as code; empty if the system does not provide the map."""
    try:
        lines = MAPS.read_text(errors="replace").splitlines()
    except OSError:
        return set()
    parts = (line.split(maxsplit=PATH_COLUMN) for line in lines)
    return {part[PATH_COLUMN] for part in parts if len(part) > PATH_COLUMN and "x" in part[1] and part[5][0] == "/"}


def list_package_folders() -> tuple[str, ...]:
    """Return the real paths of the folders with this interpreter's standard library and installed packages."""
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    folders = [sysconfig.get_path(name) for name in names]
    folders += [sys.prefix, sysconfig.get_config_var("LIBDIR") or "", *site.getsitepackages()]
    if site.ENABLE_USER_SITE:
        folders.append(site.getusersitepackages())
    return tuple(sorted({os.path.realpath(folder) for folder in folders if folder}))
