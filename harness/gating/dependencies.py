"""Decide whether two versions of a project can share an environment: by their dependencies and compiled parts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.errors import UsageError
from harness.execution.environment_build import REQUIREMENTS, find_table, is_package, parse_pyproject
from harness.git import GitError, git, names_file

DECLARED = ("pyproject.toml", "setup.py", "setup.cfg", "requirements.txt", "constraints.txt")
PROJECT_KEYS = ("dependencies", "optional-dependencies", "requires-python")
COMPILING = ("mesonpy", "scikit_build_core", "maturin", "py_build_cmake", "sipbuild", "enscons")
EXTENSIONS = (
    "ext_modules", "ext-modules", "cythonize", "cffi_modules", "CUDAExtension", "CppExtension", "RustExtension",
    "rust_extensions", "skbuild",
)  # fmt: skip


def why_build(repository: Path, base: str, head: str, folders: Sequence[str] = ("",)) -> str | None:
    """Return why the versions need environments of their own; None if they can share this one.

    repository: its top folder.
    base, head: revisions; "" for the working tree of the checkout.
    folders: of the repository that may declare dependencies, "" for the top one.
    """
    for folder in folders:
        old, new = (read_declared(repository, one, folder) for one in (base, head))
        for name in DECLARED:
            if told(name, old.get(name, "")) != told(name, new.get(name, "")):
                return f"{_join(folder, name)} asks for other dependencies"
        if reason := why_compiled(old) or why_compiled(new):
            return reason if not folder else f"{reason} ({folder})"
    return None


def list_folders(repository: Path, package: str, plugins: Sequence[str]) -> list[str]:
    """List the folders whose declarations count, relative to the repository, "" for its top one.

    package: folder of the package. plugins: `--plugin` arguments; folders of files count as well. So do all parents.
    """
    files = [Path(name).expanduser().resolve().parent for name in plugins if names_file(name)]
    inner = [repository / package, *(one for one in files if one.is_relative_to(repository))]
    found = dict.fromkeys(
        folder for start in inner for folder in (start, *start.parents) if folder.is_relative_to(repository)
    )
    return ["" if folder == repository else folder.relative_to(repository).as_posix() for folder in found]


def find_package(repository: Path, plugins: Sequence[str]) -> str:
    """Return the folder of the package in the repository; "" for its top folder, and if there is no package.

    It is the nearest folder with a package, or with requirements, from the current folder upwards, else from the
    plugin files. plugins: `--plugin` arguments.
    """
    files = [Path(name).expanduser().resolve().parent for name in plugins if names_file(name)]
    for start in (Path.cwd(), *files):
        for folder in (start, *start.parents):
            if folder.is_relative_to(repository) and (is_package(folder) or (folder / REQUIREMENTS).is_file()):
                return "" if folder == repository else folder.relative_to(repository).as_posix()
    return ""


def check_package(repository: Path, package: str) -> str:
    """Return the folder that --package names, relative to the repository, "" for its top folder. Raises UsageError."""
    folder = Path(package).expanduser().resolve()
    if not folder.is_dir() or not folder.is_relative_to(repository):
        raise UsageError(f"package: got '{package}', wanted a folder of '{repository}', such as --package python")
    return "" if folder == repository else folder.relative_to(repository).as_posix()


def read_declared(repository: Path, revision: str, folder: str = "") -> dict[str, str]:
    """Return the texts of the files that declare dependencies, at a revision or ("") in the checkout.

    folder: of the repository in which they lie; "" for the top one.
    """
    found = {}
    for name in DECLARED:
        if not revision:
            path = repository / folder / name
            if path.is_file():
                found[name] = path.read_text("utf-8", errors="replace")
            continue
        try:
            found[name] = git(repository, "show", f"{revision}:{_join(folder, name)}")
        except GitError:  # the revision has no such file
            continue
    return found


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def told(name: str, text: str) -> object:
    """Return what a file declares about dependencies, so that comments and the order of tables do not matter."""
    if name == "pyproject.toml":
        declared = parse_pyproject(text)
        project, tools = find_table(declared, "project"), find_table(declared, "tool", "poetry")
        poetry = {key: tools.get(key) for key in ("dependencies", "extras", "group")}
        dynamic = find_table(declared, "tool", "setuptools", "dynamic").get("dependencies")
        return {key: project.get(key) for key in PROJECT_KEYS}, declared.get("build-system"), poetry, dynamic
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return [line for line in lines if line]


def why_compiled(declared: dict[str, str]) -> str | None:
    """Return why the sources of a version do not suffice because parts of it are compiled; None if they do."""
    project = parse_pyproject(declared.get("pyproject.toml", ""))
    backend = str(find_table(project, "build-system").get("build-backend", ""))
    if backend.partition(".")[0] in COMPILING:
        return f"it is compiled by {backend}"
    for name, text in declared.items():
        if any(word in text for word in EXTENSIONS):
            return f"{name} has extensions that are compiled"
    return None
