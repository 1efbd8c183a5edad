"""Location of the packages with the built-in plugins: a user's folder of the same name hides none of them.

`python -m harness` searches the current folder first, and many projects have a folder `backends/` or `reports/`.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from types import ModuleType

import harness

LEAST_SHARE = 0.5  # of the built-in modules of a package; another revision has most of them, another project does not


def claim_package(name: str, modules: Collection[str]) -> None:
    """Make the modules of a package importable, whatever else has its name; the other's modules stay importable.

    name: of the package, such as "backends". modules: names of its built-in modules.
    The package lies next to the harness; if it does not, as in an environment whose implementations are those of
    another revision, it is the first one on the search path that has most of the modules. A package of this name that
    was imported before stays what it is, and finds these modules first.
    """
    ours = _find_folder(name, modules)
    if ours is None:
        return  # importing a module says what is missing
    package = sys.modules.get(name)
    if package is None:
        package = _import_package(name, ours)
    path = [str(ours), *getattr(package, "__path__", ())]
    path += [str(folder) for folder in _candidates(name) if folder.is_dir()]
    package.__path__ = list(dict.fromkeys(path))


def _find_folder(name: str, modules: Collection[str]) -> Path | None:
    def is_ours(folder: Path) -> bool:
        found = sum((folder / f"{module}.py").is_file() for module in modules)
        return (folder / "__init__.py").is_file() and found >= LEAST_SHARE * len(modules)

    beside = Path(harness.__file__).parents[1] / name
    return next((folder for folder in (beside, *_candidates(name)) if is_ours(folder)), None)


def _candidates(name: str) -> list[Path]:
    """Return the folders of this name on the search path; a relative one counts only if there is a current folder."""
    found = []
    for entry in sys.path:
        with suppress(OSError):
            found.append(Path(entry or ".").absolute() / name)
    return found


def _import_package(name: str, folder: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        name, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None and spec.loader is not None
    package = importlib.util.module_from_spec(spec)
    sys.modules[name] = package
    try:
        spec.loader.exec_module(package)
    except BaseException:
        del sys.modules[name]
        raise
    return package
