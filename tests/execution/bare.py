"""A virtual environment with nothing but chosen packages and what they need in turn, linked from this interpreter's."""

import sys
import venv
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import harness


def make_bare_environment(folder, requirements):
    """Make an environment that has the harness and these requirements only; its interpreter."""
    venv.create(folder, with_pip=False)
    (packages,) = folder.glob("lib/python*/site-packages")
    for one in find_distributions(requirements):
        tops = {path.parts[0] for path in one.files if not path.is_absolute()} - {"..", "__pycache__"}
        for top in tops:
            (packages / top).symlink_to(Path(one.locate_file(top)).resolve())
    for name in ("harness", "backends", "suites", "reports"):
        (packages / name).symlink_to(Path(harness.__file__).parents[1] / name)
    return folder / "bin" / Path(sys.executable).name


def find_distributions(requirements):
    """Find the installed distributions of these requirements and of their own requirements, each once."""
    todo, found = [Requirement(text) for text in requirements], {}
    while todo:
        one = todo.pop()
        if one.marker is not None and not one.marker.evaluate({"extra": ""}):
            continue
        if (name := canonicalize_name(one.name)) not in found:
            found[name] = metadata.distribution(name)
            todo += [Requirement(text) for text in found[name].requires or ()]
    return list(found.values())
