"""Two versions of backends as arms of one run: select the backends and their environments, and judge the run.

registry: backends, suites and laws. wanted: the requested comparison. watch: receives progress.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from harness.capture.workload import name_problems
from harness.errors import CannotTellError, UnbuiltError, UsageError
from harness.execution.environments import open_places
from harness.execution.pipeline import check_start, start
from harness.execution.progress import Watch
from harness.execution.shared_files import INSTALLED
from harness.gating.dependencies import check_package, find_package, list_folders, why_build
from harness.git import find_repository, names_library, resolve_revision
from harness.plan.arm import Arm, Environment, parse_arm
from harness.plan.cell import Plan
from harness.plan.claims.rows import Claims
from harness.plan.counted import count_instead
from harness.plan.counting import Counting
from harness.plan.gate import Gate
from harness.plan.planner import plan_run
from harness.plan.suite import NamedProblem
from harness.plugins.manager import Registry
from harness.problems.validation import check_one_of
from harness.record.run import Run
from harness.worker.described.backend import find_source

if TYPE_CHECKING:
    from harness.backend.base import Backend

LEAST_S, LAWS_S, PER_CELL_S = 300.0, 60.0, 10.0
Build = Literal["auto", "always", "never"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The comparison to make: the options of `gate`, which documents them.

    base, head: revisions; "" as head is the working tree of the checkout, "" as base needs base_env.
    base_env: interpreter or virtual environment with the base installed.
    problems: lines, or problems with names and multiplicities; they replace the suites' own.
    build: whether to build an environment for each version.
    extras: of the package, for the builds.
    package: its folder, for monorepos; None for the nearest one from the current folder upwards.
    build_command: shell command that is run in that folder of each version's sources; "" for none.
    plugins: `--plugin` arguments.
    claims: about the backends, against which the new version is held; None for none.
    counting: how instructions are counted instead of times; None for times.
    threads, output, command, lease_wait_s, resume: as for `harness.execution.pipeline.start`.
    """

    base: str = ""
    head: str = ""
    base_env: str = ""
    backends: Sequence[str] = ()
    suites: Sequence[str]
    problems: Sequence[str | NamedProblem] = ()
    laws: Sequence[str] = ()
    build: Build = "auto"
    extras: str = ""
    package: str | None = None
    build_command: str = ""
    plugins: Sequence[str] = ()
    threads: int | None = None
    output: str | None = None
    command: str = ""
    lease_wait_s: float | None = None
    resume: str | Path | None = None
    claims: Claims | None = None
    counting: Counting | None = None

    def __post_init__(self) -> None:
        """Reject an unknown word for `build`. Raises UsageError."""
        check_one_of("build", self.build, get_args(Build))


def compare_versions(
    registry: Registry, wanted: Wanted, gate: Gate, watch: Watch, budget_s: float | None = None
) -> Run:
    """Run both versions of every backend as arms of one run.

    budget_s: wall time of the whole run; None: five minutes, or one minute plus ten seconds for each timed pair, if
        more.
    Raises CannotTellError if the gate must not compare times and nothing else was requested, UsageError for other bad
    input.
    """
    base, head = choose_environments(wanted, watch)
    named = [read_backend(text) for text in wanted.backends or find_backends(registry, wanted.plugins)]
    check_origins(registry, [one.backend for one in named], wanted, base)
    unbuilt = try_base(base, wanted, watch) if gate.base_broken == "ok" else None
    if unbuilt is not None:
        base = replace(base, build=False, command="", idle=True)  # its name stays, and no plugin is looked for there
    arms = [arm for one in named for arm in make_arms(one, base, head)]
    check_start(wanted.output, arms, wanted.plugins, wanted.resume)
    problems = name_problems(wanted.problems, registry.networks)
    suites = keep_suites(registry, wanted)
    kinds = {name: registry.suite(name).kind for name in suites}
    if "speed" not in kinds.values():
        gate = replace(gate, untimed=None)
    elif gate.untimed:
        suites = [name for name in suites if kinds[name] != "speed"]
        if not suites:
            raise CannotTellError(f"the gate is not armed: {gate.untimed}")
    plan = plan_run(registry, suites, problems=problems, laws=wanted.laws, arms=arms, gate=gate, threads=wanted.threads)
    tell_support(plan, [arm.name for arm in arms[1::2]], watch)
    if wanted.counting is not None and not wanted.laws:
        plan = count_instead(plan, wanted.counting, registry)
    if unbuilt is not None:
        plan = give_up(plan, [arm.name for arm in arms[::2]], unbuilt)
    timed = sum(cell.kind == "speed" and cell.decided is None for cell in plan.cells)
    gate = replace(gate, budget_s=budget_s or max(LEAST_S, LAWS_S + PER_CELL_S * timed / 2))
    plan = replace(plan, gate=gate, claims=wanted.claims)
    return start(
        registry, plan, ("gate",), wanted.output, wanted.plugins, None, wanted.threads, watch, wanted.command,
        lease_wait_s=wanted.lease_wait_s, resume=wanted.resume,
    )  # fmt: skip


def tell_support(plan: Plan, names: Sequence[str], watch: Watch) -> None:
    """Say before a run that the backends of the new version support no cell, which is MISSING where the base does.

    plan: of the run. names: of the arms of the new version. watch: receives the line.
    """
    routes = [cell.route for cell in plan.cells if cell.arm in names]
    if any(route.kind != "unsupported" or route.raised for route in routes):
        return
    of = ", ".join(sorted({arm.backend for arm in plan.arms}))
    why = Counter(route.reason for route in routes).most_common(1)[0][0]
    watch.working("laws", f"{of} supports none of {len(routes)} cells now ({why}); asking whether the base does")


def try_base(base: Environment, wanted: Wanted, watch: Watch) -> str | None:
    """Prepare the base, whose build is kept for the run; return why that fails, None if it does not."""
    try:
        with open_places([base], wanted.plugins, lambda text: watch.working("environment", text)):
            return None
    except UnbuiltError as error:
        return str(error).partition("; wanted")[0]


def give_up(plan: Plan, names: Collection[str], reason: str) -> Plan:
    """Return the plan with all cells of some arms unavailable, so that no worker of theirs is started.

    names: of the arms. reason: why nothing can run there.
    """
    given_up = (replace(c, decided="unavailable", reason=reason) if c.arm in names else c for c in plan.cells)
    return replace(plan, cells=tuple(given_up))


def keep_suites(registry: Registry, wanted: Wanted) -> list[str]:
    """Return the requested suites; if laws are named, only those of correctness. Raises UsageError for other kinds."""
    kinds = {name: registry.suite(name).kind for name in wanted.suites}
    for name, kind in kinds.items():
        if kind not in ("correctness", "speed"):
            raise UsageError(f"suite: got '{name}', a suite of kind {kind}, wanted suites of correctness or speed")
    return [name for name, kind in kinds.items() if kind == "correctness" or not wanted.laws]


def read_backend(text: str) -> Arm:
    """Parse a backend with settings, as `gate` accepts it. Raises UsageError for an environment or a label."""
    arm = parse_arm(text)
    if arm.environment.elsewhere or arm.name != text:
        raise UsageError(
            f"backend: got '{text}', wanted BACKEND or BACKEND@set:NAME=VALUE; --base and --head name the versions"
        )
    return arm


def make_arms(of: Arm, base: Environment, head: Environment) -> tuple[Arm, Arm]:
    """Return both versions of a backend, with the same settings and as one family; the new one has the plain name.

    of: backend with settings.
    base, head: environments of the versions.
    """
    old, new = (replace(one, settings=of.environment.settings) for one in (base, head))
    return replace(of, name=of.backend + old.text, environment=old, family=of.name), replace(
        of, environment=new, family=of.name
    )


def choose_environments(wanted: Wanted, watch: Watch) -> tuple[Environment, Environment]:
    """Return the environments of base and head. Raises UsageError for unknown revisions, or if nothing can be built.

    The head is built like the base: another environment or compiler must not make the difference between them.
    """
    repository = find_repository(wanted.plugins)
    hashes = [resolve_revision(repository, one) if one else "" for one in (wanted.base, wanted.head)]
    base = Environment(revision=wanted.base, interpreter=wanted.base_env, installed=bool(wanted.base_env))
    head = Environment(revision=wanted.head)
    if repository is None:
        if wanted.build_command or wanted.package is not None:
            raise UsageError(f"build: '{Path.cwd()}' is in no git repository, wanted the one with both versions")
        return base, head
    package = find_package(repository, wanted.plugins)
    if wanted.package is not None:
        package = check_package(repository, wanted.package)
    folders = list_folders(repository, package, wanted.plugins)
    reason = None
    if not wanted.base_env and wanted.build != "never":
        reason = (
            "it was asked for" if wanted.build == "always" else why_build(repository, hashes[0], hashes[1], folders)
        )
    if reason is not None:
        watch.working("environment", f"both versions are built, as {reason}")
    elif not wanted.build_command:
        return base, head
    recipe = Environment(
        build=reason is not None, extras=wanted.extras, package=package, command=wanted.build_command
    )  # fmt: skip
    return base if wanted.base_env else replace(recipe, revision=wanted.base), replace(recipe, revision=wanted.head)


def check_origins(registry: Registry, backends: Sequence[str], wanted: Wanted, base: Environment) -> None:
    """Raise UsageError if a backend does not depend on the revision, so that both versions would be the same.

    backends: names.
    base: environment of the base.
    """
    repository = find_repository(wanted.plugins)
    for name in backends:
        file = find_source(registry.backend(name))
        if names_library(file) and (base.installed or not _is_inside(registry.backend(name), repository)):
            raise UsageError(
                f"backend '{name}' is the library '{file}', the same file for both versions; wanted a library that "
                "each version builds in its own tree (--base REV --build-command CMD)"
            )
    if base.build or base.installed:
        return
    for name in backends:
        if not _is_inside(registry.backend(name), repository):
            source = find_source(registry.backend(name))
            raise UsageError(
                f"backend '{name}' comes from '{source}', {_why_alike(source, repository)}; wanted sources of that "
                "repository (`python -m pip install --editable .`), an environment for each version (--build always), "
                "or --base-env VENV"
            )


def find_backends(registry: Registry, plugins: Sequence[str]) -> list[str]:
    """Return the backends of the given plugins; without plugins, the backends with sources in the repository.

    Raises UsageError if there is none, or if a plugin is broken.
    """
    broken = [f"{row.name}: {row.reason}" for row in registry.rows if row.state == "broken"]
    if broken:  # its backends would be left out silently
        raise UsageError(f"plugin is broken: {'; '.join(broken)}; mend it, or leave it out with --no-plugin")
    if plugins:
        rows = [row for row in registry.rows if row.origin == "--plugin"]
        found = [name for row in rows for name in row.backends]
    else:
        repository = find_repository(plugins)
        found = [name for name, backend in registry.backends.items() if _is_inside(backend, repository)]
    if not found:
        raise UsageError(
            "backend: found none in this repository or in --plugin, wanted one at least; name it with --backend, or "
            f"load it with --plugin ./mine.py{_name_copies(registry)}"
        )
    return found


def _name_copies(registry: Registry) -> str:
    """Return what to do for plugins that are installed as copies, one of which may be meant; empty without any."""
    copies = [row for row in registry.rows if row.backends and INSTALLED & set(Path(row.file).parts)]
    if not copies:
        return ""
    named = ", ".join(f"{', '.join(row.backends)} of '{row.file}'" for row in copies)
    return (
        f"; {named}: a copy that pip has installed belongs to no revision, wanted `python -m pip install --editable .`"
        f", or --build always with --backend {copies[0].backends[0]}"
    )


def _why_alike(source: str, repository: Path | None) -> str:
    """Return why both versions of a backend would be the same code. source: file of the backend."""
    if INSTALLED & set(Path(source).parts):
        return f"a copy that pip has installed, which is the same for all revisions of '{repository}'"
    return f"of which no revision of '{repository}' decides"


def _is_inside(backend: Backend, repository: Path | None) -> bool:
    source = find_source(backend)
    if not source or repository is None:
        return False
    path = Path(source).resolve()
    return path.is_relative_to(repository) and not INSTALLED & set(path.parts)
