"""Identity of a run: what a command must have in common with another to go on with its run.

Each part has a name for users and a text that can be compared and shown: the cells in order, arms with their revisions,
limits and other options that change answers, the sources of harness and plugins, libraries, and the machine.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata, util
from pathlib import Path
from typing import Any

import msgspec

from harness.errors import UsageError
from harness.execution.provenance import COMPILED
from harness.git import GitError, find_repository, git, names_file
from harness.plan.cell import Cell, Plan
from harness.plan.claims.rows import Claims
from harness.plan.counting import Counting
from harness.plan.gate import Gate
from harness.plugins.hookspecs import PROJECT
from harness.record.run import ArmRecord, Header

CODE = (".py", ".pyi", ".so", ".pyd", ".ptx", ".cubin", ".toml", *COMPILED)
LARGE = 2**22  # bytes of a file above which size and time stand for its contents
OWN = ("harness", "backends", "suites")
SHORT = 16  # hexadecimal digits of a hash that is shown
# Facts of the machine that may change without a refusal, and are said in the report
SAID = ("kernel", "frequency", "swap", "limits", "hugepages", "aslr", "clocksource")


def identify(
    plan: Plan, arms: Sequence[ArmRecord], environment: Mapping[str, Any], plugins: Sequence[str], threads: int | None
) -> dict[str, str]:
    """Return the identity of a run by the names of its parts.

    plan: of the run. arms: as recorded, with their revisions. environment: as `describe_environment` returned it.
    plugins: `--plugin` arguments. threads: of every worker; None for the default.
    """
    gate = "none"
    if plan.gate is not None:  # decoded in between, so that a whole number of seconds is spelt in one way
        gate = msgspec.json.encode(msgspec.json.decode(msgspec.json.encode(plan.gate), type=Gate)).decode()
    return {
        "suites": " ".join(plan.suites),
        "arms": ", ".join(map(_describe_arm, arms)) or " ".join(plan.arm_names),
        "cells": f"{len(plan.cells)} cells ({hash_cells(plan.cells)})",
        "limits": f"time {plan.limits.time_s or 'of the suite'}, memory {plan.limits.memory_bytes}",
        "mode": plan.mode or "of the suite",
        "gate": gate,
        "threads": "default" if threads is None else str(threads),
        **({} if plan.counting is None else {"metric": _describe_counting(plan.counting)}),
        **({} if plan.claims is None else {"claims": _describe_claims(plan.claims)}),
        **identify_code(plugins, environment),
    }


def identify_code(plugins: Sequence[str], environment: Mapping[str, Any]) -> dict[str, str]:
    """Return the parts of an identity that follow from the code, the libraries and the machine.

    plugins: `--plugin` arguments. environment: as `describe_environment` returned it.
    """
    machine = f"{environment['cpu']}, {environment['cores']} cores, {environment['memory_gib']} GiB"
    return {
        "plugins": " ".join(plugins) or "none",
        "harness": hash_sources([path for name in OWN for path in list_package(name)]),
        "plugin sources": hash_sources(list_plugin_files(plugins)),
        "revision": describe_revision(plugins),
        "python and libraries": _join({"python": environment["python"], **environment["libraries"]}),
        "machine": f"{machine} ({environment['fingerprint']})",
        **{f"variable {name}": str(value) for name, value in environment["variables"].items()},
    }


def _describe_counting(counting: Counting) -> str:
    said = "compared" if counting.compares else "counted"
    armed = ", armed" if counting.armed else ""
    return f"instructions of {counting.calls} calls by {counting.counter}, {said} at {counting.delta:g}{armed}"


def _describe_claims(claims: Claims) -> str:
    rows = msgspec.json.encode((claims.promises, claims.faults))
    return f"{len(claims.promises) + len(claims.faults)} rows ({hashlib.blake2b(rows).hexdigest()[:SHORT]})"


def check_identity(header: Header, now: Mapping[str, str]) -> None:
    """Raise UsageError if the identity of a run differs from that of the command that is to resume it.

    header: of the run. now: identity of the command.
    """
    refuse_difference(header.identity, header.command, now)


def refuse_difference(before: Mapping[str, str], command: str, now: Mapping[str, str]) -> None:
    """Raise UsageError if two identities differ, with both values of each part that does.

    before: identity of what was interrupted. command: with which it was begun. now: identity of the command that is to
    resume it.
    """
    names = dict.fromkeys((*before, *now))
    differing = [name for name in names if before.get(name) != now.get(name)]
    if differing:
        told = "; ".join(
            f"{name}: got {now.get(name, 'none')}, the run has {before.get(name, 'none')}" for name in differing
        )
        raise UsageError(
            f"run cannot be resumed, as this command would not go on with the same: {told}; wanted its own command, "
            f"which was `{command}`, with --resume, in the same environment; or begin a new run"
        )


def compare_machines(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Return the facts of the machine that differ though it may be the same one, as (before, now), by name.

    before, now: environments of a run.
    """
    plain = msgspec.to_builtins(now)
    return {name: (str(before.get(name)), str(plain.get(name))) for name in SAID if before.get(name) != plain.get(name)}


def hash_cells(cells: Iterable[Cell]) -> str:
    """Return a short hash over everything that defines the cells, in order.

    What follows from the memory that was free while planning is left out.
    """
    digest = hashlib.blake2b()
    for cell in cells:
        decided = () if cell.need_bytes else (cell.decided, cell.reason)
        digest.update(
            repr((
                cell.number, cell.suite, cell.kind, cell.arm, cell.backend, cell.label, cell.line, cell.law,
                cell.multiplicity, cell.route.kind, cell.role, cell.slowdown, cell.isolate, cell.threads,
                cell.time_limit_s, decided,
            )).encode()
        )  # fmt: skip
    return digest.hexdigest()[:SHORT]


def list_package(name: str) -> list[Path]:
    """Return the files of code of an importable package, or the file of a module, without importing it."""
    try:
        spec = util.find_spec(name.partition(".")[0])
    except ValueError:
        return []
    if spec is None:
        return []
    if spec.submodule_search_locations is None:
        return [Path(spec.origin)] if spec.origin else []
    return [path for folder in spec.submodule_search_locations for path in _list_code(Path(folder), "**/*")]


def list_plugin_files(plugins: Sequence[str]) -> list[Path]:
    """Return files of code of plugins: a file with its neighbours, or all of a package.

    plugins: `--plugin` arguments; those of installed distributions are added.
    """
    files = [path for name in plugins if names_file(name) for path in _list_code(_locate(name).parent, "*")]
    modules = [name for name in plugins if not names_file(name)]
    modules += [entry.module for entry in metadata.entry_points(group=PROJECT)]
    return [*files, *(path for name in modules for path in list_package(name))]


def _locate(name: str) -> Path:
    return Path(name).expanduser().resolve()


def _list_code(folder: Path, pattern: str) -> list[Path]:
    return [path for path in folder.glob(pattern) if path.name.endswith(CODE) and path.is_file()]


def hash_sources(paths: Iterable[Path]) -> str:
    """Return a short hash of files with their paths; of a large file, size and time stand for its contents."""
    digest = hashlib.blake2b()
    for path in sorted(set(paths)):
        try:
            status = path.stat()
            large = status.st_size > LARGE
            content = repr((status.st_size, status.st_mtime_ns)).encode() if large else path.read_bytes()
        except OSError:
            content = b""
        digest.update(repr((str(path), len(content))).encode() + content)
    return digest.hexdigest()[:SHORT]


def describe_revision(plugins: Sequence[str]) -> str:
    """Return the revision of the checkout, with a hash of changed and untracked files of code; "none" outside of one.

    plugins: `--plugin` arguments, which may lie in another checkout.
    """
    repository = find_repository(plugins)
    if repository is None:
        return "none"
    try:
        revision = git(repository, "rev-parse", "--verify", "--quiet", "HEAD")
    except GitError:
        revision = "no commit"
    try:
        names = git(repository, "ls-files", "-z", "--others", "--exclude-standard").split("\0")
        names += git(repository, "diff", "-z", "--name-only", "HEAD").split("\0")
    except GitError:
        names = []
    changed = [repository / name for name in names if name.endswith(CODE)]
    return f"{revision[:12]} with changes {hash_sources(changed)}" if changed else revision[:12]


def _describe_arm(arm: ArmRecord) -> str:
    revision = f" of {arm.revision[:12]}" if arm.revision else ""
    family = f" in {arm.family}" if arm.family else ""
    return f"{arm.name}={arm.text}{revision}{family}"


def _join(values: Mapping[str, Any]) -> str:
    return " ".join(f"{name} {value}" for name, value in values.items())
