"""Whether two versions of a project can share an environment: what they depend on, and what must be compiled."""

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
    """Why the base needs an environment of its own, in words; empty where it can share the head's.

    base, head: revisions; an empty one is the checkout as it lies.
    """
    old, new = read_declared(repository, base), read_declared(repository, head)
    for name in DECLARED:
        if told(name, old.get(name, "")) != told(name, new.get(name, "")):
            return f"{name} asks for other dependencies"
    if reason := why_compiled(old):
        return reason
    return ""


def read_declared(repository: Path, revision: str) -> dict[str, str]:
    """The texts of the files that declare dependencies, at a revision or in the checkout."""
    found = {}
    for name in DECLARED:
        if not revision:
            path = repository / name
            if path.is_file():
                found[name] = path.read_text("utf-8", errors="replace")
            continue
        try:
            found[name] = git(repository, "show", f"{revision}:{name}")
        except GitError:  # it has none
            continue
    return found


def told(name: str, text: str) -> object:
    """What a file says of dependencies, so that comments and order of tables do not count."""
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
    """Why the sources of a version are not enough, as something in it is compiled; empty where they are."""
    backend = str(parse_pyproject(declared.get("pyproject.toml", "")).get("build-system", {}).get("build-backend", ""))
    if backend.partition(".")[0] in COMPILING:
        return f"it is compiled by {backend}"
    for name, text in declared.items():
        if any(word in text for word in EXTENSIONS):
            return f"{name} has extensions that are compiled"
    return ""
