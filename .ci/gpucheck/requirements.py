"""Requirements of the harness, the ones that a Python lacks, and wheels that supply them without a network.

This module does not use pip, which an environment may lack: a wheel is an archive of files for the import path.
"""

from __future__ import annotations

import shutil
import sys
import tomllib
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.parser import Parser
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
WHEELS = ROOT / ".gpu-wheels"
PROVIDED = ("torch", "cupy", "numpy", "scipy", "pandas", "pyarrow", "pytest")
"""Packages that the machine provides: never carried, never replaced. `cupy` includes cupy-cuda13x and the like."""
SMALLER = {"duckdb": "1.4.4"}
"""Versions carried instead of those of constraints.txt: two wheels of duckdb 2.0 take 48 MiB, of this one 39."""
EXTRA = ("nvidia-ml-py",)  # required packages of the extra `cuda`


@dataclass(frozen=True, slots=True)
class Missing:
    """A requirement that a Python does not meet: its text, and the installed version, "" if there is none."""

    name: str
    text: str
    there: str


@dataclass(frozen=True, slots=True)
class Choice:
    """Wheels to install, and one line for each requirement that none of them meets."""

    wheels: tuple[Path, ...]
    lacks: tuple[str, ...]


class WheelError(Exception):
    """A wheel cannot be read; the text names it and says what to do."""


def packaging(name: str) -> Any:
    """Return a module of `packaging`: installed, from pip, or from WHEELS. Raises WheelError if there is none."""
    from importlib import import_module

    for place in ("packaging", "pip._vendor.packaging"):
        try:
            return import_module(f"{place}.{name}")
        except ModuleNotFoundError:
            continue
    if not (found := sorted(WHEELS.glob("packaging-*.whl"))):
        raise WheelError(f"packaging: got no pip, no packaging and no wheel of it in {WHEELS}; run `make gpu-wheels`")
    sys.path.append(str(found[-1]))  # a pure Python wheel, which can be imported from its archive
    return import_module(f"packaging.{name}")


def read_requirements(root: Path = ROOT) -> list[str]:
    """Return the requirements of pyproject.toml, including those of EXTRA."""
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    extra = [text for text in project["optional-dependencies"]["cuda"] if name_of(text) in EXTRA]
    return [*project["dependencies"], *extra]


def name_of(requirement: str) -> str:
    """Return the normalised name of a requirement."""
    name = packaging("requirements").Requirement(requirement).name
    return str(packaging("utils").canonicalize_name(name))


def is_provided(name: str) -> bool:
    """Return True if the machine provides a package itself."""
    return name in PROVIDED or name.startswith("cupy-")


def find_missing(requirements: Iterable[str], environment: Mapping[str, str] | None = None) -> list[Missing]:
    """Return the requirements that this Python does not meet, ignoring those for other systems or extras.

    environment: markers that replace those of this Python.
    """
    found = []
    for text in requirements:
        one = packaging("requirements").Requirement(text)
        if one.marker is not None and not one.marker.evaluate({"extra": "", **(environment or {})}):
            continue
        name = name_of(text)
        try:
            there = metadata.version(name)
        except metadata.PackageNotFoundError:
            there = ""
        if not there or not one.specifier.contains(there, prereleases=True):
            found.append(Missing(name, text, there))
    return found


def choose_wheels(requirements: Iterable[str], folder: Path) -> Choice:
    """Choose wheels of a folder that supply what this Python lacks, and their own requirements. Raises WheelError."""
    todo, chosen, lacks, seen = find_missing(requirements), [], [], set[str]()
    while todo:
        one = todo.pop(0)
        if one.name in seen:
            continue
        seen.add(one.name)
        wheel = None if is_provided(one.name) else find_wheel(one, folder)
        if wheel is None:
            lacks.append(describe(one, folder))
        else:
            chosen.append(wheel)
            todo += find_missing(read_needs(wheel))
    return Choice(tuple(chosen), tuple(lacks))


def describe(one: Missing, folder: Path) -> str:
    """Describe what is missing, what is installed instead, and what to do."""
    there = f"version {one.there} is there" if one.there else "it is not there"
    if is_provided(one.name):
        return f"{one.text}: {there}; it is never carried, so the machine's own Python must have it (PYTHON=...)"
    return f"{one.text}: {there}, and {folder} has no wheel of it for this Python; run `make gpu-wheels` beforehand"


def find_wheel(one: Missing, folder: Path) -> Path | None:
    """Return the wheel of a folder that meets a requirement on this Python; None if there is none."""
    tags, specifier = set(packaging("tags").sys_tags()), packaging("requirements").Requirement(one.text).specifier
    for path in sorted(folder.glob("*.whl"), reverse=True):
        try:
            name, version, _, those = packaging("utils").parse_wheel_filename(path.name)
        except ValueError:  # not a valid name of a wheel, so not one that was fetched
            continue
        if name == one.name and specifier.contains(version, prereleases=True) and tags & those:
            return path
    return None


def read_needs(wheel: Path) -> list[str]:
    """Return the requirements that a wheel states, with their markers. Raises WheelError."""
    with _open(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return Parser().parsestr(archive.read(name).decode()).get_all("Requires-Dist") or []


def install(wheels: Iterable[Path], target: Path) -> None:
    """Unpack wheels into a folder for the import path. Raises WheelError.

    The contents of NAME.data/purelib and platlib are moved to the top; scripts and headers are not needed and removed.
    """
    target.mkdir(parents=True, exist_ok=True)
    for wheel in wheels:
        with _open(wheel) as archive:
            archive.extractall(target)
        for data in target.glob("*.data"):
            for kind in ("purelib", "platlib"):
                if (data / kind).is_dir():
                    shutil.copytree(data / kind, target, dirs_exist_ok=True)
            shutil.rmtree(data)


@contextmanager
def _open(wheel: Path) -> Iterator[zipfile.ZipFile]:
    """Open a wheel as an archive; raises WheelError if it, or a file in it, is damaged or cannot be read."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            yield archive
    except (zipfile.BadZipFile, zlib.error, StopIteration, EOFError, OSError) as error:
        why = f"{type(error).__name__}: {error}".strip(": ")
        raise WheelError(
            f"wheel: got {wheel}, which cannot be unpacked ({why}); run `make gpu-wheels` again"
        ) from error
