"""Sources of a version that was built: in an environment of its own, by a command in its sources, or both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness.errors import UsageError
from harness.execution.build_cache import describe_tools, open_build
from harness.execution.environment_build import build_environment, is_package, run_build_command
from harness.git import copy_checkout, git, names_library, open_sources_copy
from harness.plan.arm import Environment
from harness.record.directory import HEADER, JOURNAL

OBJECTS = (".o", ".a", ".obj")


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A version that was built.

    tree: folder of its sources, with what the build made there.
    interpreter: of its environment.
    alone: True if its package was copied into the environment and runs there, not from the sources.
    """

    tree: Path
    interpreter: str
    alone: bool


def open_sources(
    environment: Environment, repository: Path, revision: str, interpreter: str, tell: Callable[[str], None]
) -> Built:
    """Build a version, or find it as it was built before.

    environment: how to build it. repository: its top folder. revision: commit with its sources.
    interpreter: for the command where no environment is built.
    tell: receives a line before the build.
    Raises UsageError if it does not build.
    """
    name = f"revision {environment.revision}" if environment.revision else "the checkout"
    sources = git(repository, "rev-parse", f"{revision}^{{tree}}")
    parts = {
        "sources": sources, "package": environment.package, "command": environment.command,
        "environment": environment.build, "extras": environment.extras, "interpreter": interpreter, **describe_tools(),
    }  # fmt: skip

    def make(folder: Path) -> None:
        tell(f"{name}: {'its environment is built' if environment.build else f'`{environment.command}`'}")
        with open_sources_copy(repository, revision, _tree(folder)) as tree:
            package = tree / environment.package
            python = interpreter
            if environment.build:
                python = build_environment(
                    package, folder / "environment", environment.extras, name, editable=bool(environment.command)
                )
            if environment.command:
                run_build_command(environment.command, package, python, name)

    folder = open_build(parts, make, lambda text: tell(f"{name}: {text}"))
    tree = _tree(folder)
    return Built(
        tree=tree,
        interpreter=str(folder / "environment" / "bin" / "python") if environment.build else interpreter,
        alone=environment.build and not environment.command and is_package(tree / environment.package),
    )


def commit_checkout(repository: Path | None, command: str) -> str:
    """Return a new commit of the checkout, without the runs in it. Raises UsageError without a repository.

    command: that builds it, or "". What an earlier build has left there, in files that git does not know, is no source:
    in the copy, all files are equally old, so that a tool such as make may take it for up to date.
    """
    if repository is None:
        raise UsageError(f"checkout: '{Path.cwd()}' is in no git repository, wanted one whose versions can be built")
    others = git(repository, "ls-files", "--others", "--exclude-standard", "-z").split("\0")
    names = set(others)
    runs = [folder for name in others if Path(name).name == JOURNAL and (folder := Path(name).parent) != Path()]
    new = [str(one) for one in runs if str(one / HEADER) in names and not git(repository, "ls-files", "--", str(one))]
    made = [name for name in others if command and (names_library(name) or name.endswith(OBJECTS))]
    return copy_checkout(repository, [*new, *made])


def _tree(folder: Path) -> Path:
    """Return the folder of the sources; git tells worktrees apart by the last part of their paths."""
    return folder / f"sources-{folder.name}"
