"""Decide whether two versions of a project can share an environment: by their dependencies and compiled parts."""

from __future__ import annotations

from pathlib import Path

from harness.execution.environment_build import parse_pyproject
from harness.git import GitError, git

DECLARED = ("pyproject.toml", "setup.py", "setup.cfg", "requirements.txt", "constraints.txt")
PROJECT_KEYS = ("dependencies", "optional-dependencies", "requires-python")
COMPILING = ("mesonpy", "scikit_build_core", "maturin", "py_build_cmake", "sipbuild", "enscons")
EXTENSIONS = (
    "ext_modules", "ext-modules", "cythonize", "cffi_modules", "CUDAExtension", "CppExtension", "RustExtension",
    "rust_extensions", "skbuild",
)  # fmt: skip


def why_build(repository: Path, base: str, head: str) -> str:
    """Return why the base needs its own environment; "" if it can share the head's.

    repository: its top folder.
    base, head: revisions; "" for the working tree of the checkout.
    """
    old, new = read_declared(repository, base), read_declared(repository, head)
    for name in DECLARED:
        if told(name, old.get(name, "")) != told(name, new.get(name, "")):
            return f"{name} asks for other dependencies"
    if reason := why_compiled(old):
        return reason
    return ""


def read_declared(repository: Path, revision: str) -> dict[str, str]:
    """Return the texts of the files that declare dependencies, at a revision or ("") in the checkout."""
    found = {}
    for name in DECLARED:
        if not revision:
            path = repository / name
            if path.is_file():
                found[name] = path.read_text("utf-8", errors="replace")
            continue
        try:
            found[name] = git(repository, "show", f"{revision}:{name}")
        except GitError:  # the revision has no such file
            continue
    return found


def told(name: str, text: str) -> object:
    """Return what a file declares about dependencies, so that comments and the order of tables do not matter."""
    if name == "pyproject.toml":
        declared = parse_pyproject(text)
        project = declared.get("project", {})
        tools = declared.get("tool", {})
        poetry = {key: tools.get("poetry", {}).get(key) for key in ("dependencies", "extras", "group")}
        dynamic = tools.get("setuptools", {}).get("dynamic", {}).get("dependencies")
        return {key: project.get(key) for key in PROJECT_KEYS}, declared.get("build-system"), poetry, dynamic
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return [line for line in lines if line]


def why_compiled(declared: dict[str, str]) -> str:
    """Return why the sources of a version do not suffice because parts of it are compiled; "" if they do."""
    backend = str(parse_pyproject(declared.get("pyproject.toml", "")).get("build-system", {}).get("build-backend", ""))
    if backend.partition(".")[0] in COMPILING:
        return f"it is compiled by {backend}"
    for name, text in declared.items():
        if any(word in text for word in EXTENSIONS):
            return f"{name} has extensions that are compiled"
    return ""
