"""Build a virtual environment for a revision: its dependencies, and the revision itself if it is a package."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

from harness.errors import DAMAGED, UnbuiltError, UsageError
from harness.machine.toml import parse_toml

DISTRIBUTION = "conv-harness"
WORKER_EXTRA = "worker"  # of pyproject.toml: names what a worker imports of the harness's own dependencies
REQUIRED = re.compile(r"\s*([A-Za-z0-9][\w.-]*)")  # the name at the start of a requirement
EXTRA = re.compile(r"""extra\s*==\s*["']([^"']+)["']""")
PACKAGED = ("pyproject.toml", "setup.py", "setup.cfg")
REQUIREMENTS = "requirements.txt"
LIMIT_S = 1800.0
SHOWN = 300  # characters of pip's error message


def parse_pyproject(text: str) -> dict[str, Any]:
    """Return the tables of a pyproject.toml; empty if it cannot be parsed."""
    try:
        return parse_toml(text)
    except DAMAGED:
        return {}


def find_table(declared: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """Return a table inside of others; empty if it is missing, or is no table.

    names: of the tables around it, and its own.
    """
    found: Any = declared
    for name in names:
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def find_texts(value: Any) -> list[str]:
    """Return the texts of a list; empty if it is no list."""
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def is_package(tree: Path) -> bool:
    """Return True if pip can install a source tree."""
    declared = parse_pyproject(_read(tree / "pyproject.toml"))
    return (tree / "setup.py").is_file() or "project" in declared or "build-system" in declared


def build_environment(tree: Path, folder: Path, extras: str, what: str, *, editable: bool = False) -> str:
    """Make a virtual environment with a revision's dependencies, and the revision itself if it is a package.

    tree: folder of the package in the sources of the revision.
    folder: of the new environment.
    extras: names of extras of the package, separated by commas; "" for none.
    what: name of the revision in error messages.
    editable: True to install the package so that it runs from its sources.
    Versions equal those of this interpreter unless the revision requires others, so that a comparison shows the effect
    of the revision and not of newer packages. Returns the path of the new interpreter. Raises UsageError with pip's
    last line.
    """
    interpreter = folder / "bin" / "python"
    if is_package(tree):
        wanted = ["--editable"] if editable else []
        wanted.append(f"{tree}[{extras}]" if extras else str(tree))
    elif (tree / REQUIREMENTS).is_file():
        wanted = ["-r", str(tree / REQUIREMENTS)]
    elif editable:
        wanted = []
    else:
        raise UsageError(
            f"{what} cannot be built: it has none of {', '.join((*PACKAGED, REQUIREMENTS))}; wanted one that pip "
            "installs, or an environment that is ready (BACKEND@env:PATH, gate --base-env)"
        )
    _run([sys.executable, "-m", "venv", str(folder)], what)
    pip = [str(interpreter), "-m", "pip", "install", "--disable-pip-version-check", "--quiet", *wanted]
    pip += list_worker_needs()
    versions = list_versions(tree)
    asked = {_plain(name) for name in list_asked(tree)}
    for lines in (versions, [line for line in versions if _plain(line.partition("==")[0]) not in asked]):
        constraints = folder / "constraints.txt"
        constraints.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        complaint = _try([*pip, "--constraint", str(constraints)])
        if not complaint:
            return str(interpreter)
    _run(pip, what)  # its requirements need other versions of further packages too
    return str(interpreter)


def run_build_command(command: str, folder: Path, interpreter: str, what: str) -> None:
    """Run a shell command that builds a revision, with an interpreter's folder first on PATH.

    folder: working directory.
    what: name of the revision in error messages. Raises UnbuiltError with the compiler's first error, or the last line.
    """
    programs = Path(interpreter).parent
    variables = {**os.environ, "PATH": os.pathsep.join([str(programs), os.environ.get("PATH", os.defpath)])}
    if (programs.parent / "pyvenv.cfg").is_file():
        variables["VIRTUAL_ENV"] = str(programs.parent)
    if not folder.is_dir():
        raise UnbuiltError(
            f"{what} has no folder '{folder.name}'; wanted the one of --package in both versions "
            "(gate --base-broken ok needs no base)"
        )
    if complaint := _try(["sh", "-c", command], folder, variables):
        raise UnbuiltError(
            f"{what} does not build: `{command}` failed: {complaint}; wanted a command that builds both "
            "versions (gate --base-broken ok needs no base)"
        )


def list_worker_needs() -> list[str]:
    """List the requirements of a worker among the harness's own dependencies, such as `numpy>=2.1`.

    They are read from pyproject.toml where the harness runs from its checkout, else from the installed metadata.
    Raises UsageError where neither says what a worker needs.
    """
    project = find_table(parse_pyproject(_read(Path(__file__).parents[2] / "pyproject.toml")), "project")
    if project.get("name") == DISTRIBUTION:
        return select_needs(project["dependencies"], project["optional-dependencies"][WORKER_EXTRA])
    try:
        lines = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        lines = []
    extra = [line for line in lines if (match := EXTRA.search(line)) and match[1] == WORKER_EXTRA]
    if not extra:
        raise UsageError(
            f"needs of a worker: got no extra '{WORKER_EXTRA}' in the installed metadata of {DISTRIBUTION}; wanted "
            "version 0.1 or later, installed with pip"
        )
    return select_needs([line for line in lines if not EXTRA.search(line)], extra)


def select_needs(dependencies: Iterable[str], names: Iterable[str]) -> list[str]:
    """Select the dependencies that are named, with their versions. Raises UsageError where a name is none of them."""
    bounds = {_plain(match[1]): line.strip() for line in dependencies if (match := REQUIRED.match(line))}
    wanted = [_plain(match[1]) for name in names if (match := REQUIRED.match(name))]
    for name in wanted:
        if name not in bounds:
            raise UsageError(f"extra '{WORKER_EXTRA}': got '{name}', wanted one of the dependencies of {DISTRIBUTION}")
    return [bounds[name] for name in wanted]


def list_versions(tree: Path) -> list[str]:
    """Return constraints on the versions installed here, except for the package in the tree itself."""
    own = str(find_table(parse_pyproject(_read(tree / "pyproject.toml")), "project").get("name", ""))
    found = {str(one.metadata["Name"]): one.version for one in metadata.distributions() if one.metadata["Name"]}
    return [  # without local labels such as +cpu, which a constraint would insist on
        f"{name}=={version.partition('+')[0]}" for name, version in sorted(found.items()) if _plain(name) != _plain(own)
    ]


def list_asked(tree: Path) -> list[str]:
    """Return the names of the packages that a tree declares as dependencies, including those of all extras."""
    project = find_table(parse_pyproject(_read(tree / "pyproject.toml")), "project")
    lines = [*find_texts(project.get("dependencies")), *_read(tree / REQUIREMENTS).splitlines()]
    lines += [line for extra in find_table(project, "optional-dependencies").values() for line in find_texts(extra)]
    found = (REQUIRED.match(line) for line in lines)
    return [match[1] for match in found if match]


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _read(path: Path) -> str:
    return path.read_text("utf-8", errors="replace") if path.is_file() else ""


def _run(command: list[str], what: str) -> None:
    if complaint := _try(command):
        raise UnbuiltError(
            f"{what} does not build: {complaint}; wanted a revision that pip installs, or an environment that is ready "
            "(BACKEND@env:PATH, gate --base-env; gate --base-broken ok needs no base)"
        )


def _try(command: list[str], folder: Path | None = None, variables: Mapping[str, str] | None = None) -> str:
    """Return the first error that a command prints, or else its last line; "" if it succeeded.

    folder: working directory. variables: its environment, by default that of this process.
    """
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder,
        errors="replace", env=variables, start_new_session=True,
    ) as process:  # fmt: skip
        try:
            output, errors = process.communicate(timeout=LIMIT_S)
        except BaseException as error:
            with suppress(ProcessLookupError):  # the command's own children too
                os.killpg(process.pid, signal.SIGKILL)
            if isinstance(error, subprocess.TimeoutExpired):
                return f"no end after {LIMIT_S:.0f} s"
            raise
    if not process.returncode:
        return ""
    lines = [line.strip() for line in (errors or output).splitlines() if line.strip()]
    told = [line for line in lines if line.lower().startswith("error")][-1:]
    told += [line for line in lines if "error:" in line.lower()][:1] + lines[-1:] + [f"exit code {process.returncode}"]
    return told[0][:SHOWN]
