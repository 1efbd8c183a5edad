"""What the harness needs, what of it a Python lacks, and wheels that bring it without a network."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from email.parser import Parser
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
WHEELS = ROOT / ".gpu-wheels"
PROVIDED = ("torch", "cupy", "numpy", "scipy", "pandas", "pyarrow", "pytest")
"""What the machine has already: never carried, never installed over. `cupy` stands for cupy-cuda13x and its like."""
SMALLER = {"duckdb": "1.4.4"}
"""Versions that are carried instead of those of constraints.txt: two wheels of duckdb 2.0 are 48 MiB, of this 39."""
EXTRA = ("nvidia-ml-py",)  # of the extra `cuda`


@dataclass(frozen=True, slots=True)
class Missing:
    """A requirement that a Python does not meet: its text, and the version that is there, if any."""

    name: str
    text: str
    there: str


@dataclass(frozen=True, slots=True)
class Choice:
    """Wheels to install, and one line for each requirement that none of them meets."""

    wheels: tuple[Path, ...]
    lacks: tuple[str, ...]


def packaging(name: str) -> Any:
    """A module of `packaging`: its own, or the copy inside pip."""
    from importlib import import_module

    try:
        return import_module(f"packaging.{name}")
    except ModuleNotFoundError:
        return import_module(f"pip._vendor.packaging.{name}")


def read_requirements(root: Path = ROOT) -> list[str]:
    """Requirements of pyproject.toml, with those of EXTRA."""
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    extra = [text for text in project["optional-dependencies"]["cuda"] if name_of(text) in EXTRA]
    return [*project["dependencies"], *extra]


def name_of(requirement: str) -> str:
    """The normalised name of a requirement."""
    name = packaging("requirements").Requirement(requirement).name
    return str(packaging("utils").canonicalize_name(name))


def is_provided(name: str) -> bool:
    """Whether a package is one that the machine brings itself."""
    return name in PROVIDED or name.startswith("cupy-")


def find_missing(requirements: Iterable[str], environment: Mapping[str, str] | None = None) -> list[Missing]:
    """The requirements that this Python does not meet; those for other systems or extras do not count."""
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
    """The wheels of a folder that bring what this Python lacks, with what they need in turn."""
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
    """What is missing, what is there instead, and what to do."""
    there = f"version {one.there} is there" if one.there else "it is not there"
    if is_provided(one.name):
        return f"{one.text}: {there}; it is never carried, so the machine's own Python must have it (PYTHON=...)"
    return f"{one.text}: {there}, and {folder} has no wheel of it for this Python; run `make gpu-wheels` beforehand"


def find_wheel(one: Missing, folder: Path) -> Path | None:
    """The wheel of a folder that meets a requirement on this Python."""
    tags, specifier = set(packaging("tags").sys_tags()), packaging("requirements").Requirement(one.text).specifier
    for path in sorted(folder.glob("*.whl"), reverse=True):
        name, version, _, those = packaging("utils").parse_wheel_filename(path.name)
        if name == one.name and specifier.contains(version, prereleases=True) and tags & those:
            return path
    return None


def read_needs(wheel: Path) -> list[str]:
    """The requirements that a wheel states, with their markers."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return Parser().parsestr(archive.read(name).decode()).get_all("Requires-Dist") or []


def install(wheels: Iterable[Path], target: Path) -> None:
    """Unpack wheels into a folder of their own, without a network, dependencies or anything replaced.

    Raises subprocess.CalledProcessError.
    """
    given = [str(path) for path in wheels]
    if given:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-compile"]
        quiet = os.environ | {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_ROOT_USER_ACTION": "ignore"}
        subprocess.run([*pip, "--no-cache-dir", "--target", str(target), *given], check=True, env=quiet)
