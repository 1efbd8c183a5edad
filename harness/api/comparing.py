"""Comparisons as functions: arms in turns, two versions, or two stored runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Never

from harness.analysis.analyse import Analysis, analyse
from harness.analysis.run_comparison import THRESHOLD, Comparison, compare_runs
from harness.errors import UsageError
from harness.execution.progress import Silent, Watch
from harness.gating.acceptance import write_acceptance
from harness.gating.arming import arm_gate
from harness.gating.arms import Contest, time_arms
from harness.gating.blessings import accept_changes, read_blessings
from harness.gating.versions import Build, Wanted, compare_versions
from harness.git import find_repository
from harness.plan.claims.check import load_claims
from harness.plan.gate import BaseBroken
from harness.plan.limits_reading import check_limits, read_limits
from harness.plan.suite import Mode, NamedProblem
from harness.plugins.manager import Registry, refuse_broken
from harness.record.acceptance import Acceptance
from harness.record.directory import read_run
from harness.record.run import Run
from harness.worker.described.loading import load_described

MOST_THRESHOLD = 10.0
OF_ARRAYS = "arrays are compared by harness.compare_arrays(got, wanted, bound, what=...)"


def versus(
    *arms: str, suites: Sequence[str] = ("speed-short",), problems: Sequence[str | NamedProblem] = (),
    delta: float | None = None, budget_s: float | None = None, mode: Mode | None = None,
    armed: bool = False, threads: int | None = None, plugins: Sequence[str] = (), without: Sequence[str] = (),
    output: str | Path | None = None, lease_wait_s: float | None = None, watch: Watch | None = None,
    resume: str | Path | None = None, limits: Sequence[Mapping[str, Any]] = (),
) -> Analysis:  # fmt: skip
    """Time arms in turns on this machine, as `python -m harness versus`; `.arm_comparison` has the verdicts.

    arms: the base and the others, such as "im2col@HEAD~1", "im2col". The rest as in `harness.gating.arms.Contest`.
    plugins: modules or ./files.py to load; without: plugins to leave out. watch: observer of the progress.
    Raises UsageError for what cannot be used, CannotTellError where `armed` is asked for on an unqualified machine.
    suites: of speed. problems: they replace those of the suites. delta: relative change that counts.
    budget_s: wall time of all passes. mode: of the caches. armed: True if verdicts make the exit code.
    threads: of every worker. output: new folder of the run. lease_wait_s: how long to wait for a device in use.
    resume: folder of an interrupted run, begun with the same arguments; only what is missing is done.
    limits: rows as in [[tool.harness.limits]] (docs/ci.md), of which `delta` is applied.
    """
    registry = load_all(plugins, without)
    contest = Contest(
        arms=arms, suites=suites, problems=problems, delta=delta, budget_s=budget_s, mode=mode, armed=armed,
        threads=threads, plugins=plugins, output=None if output is None else str(output),
        command=f"harness.versus({', '.join(map(repr, arms))})", lease_wait_s=lease_wait_s, resume=resume,
        limits=check_limits(read_limits("limits", limits), registry),
    )  # fmt: skip
    return analyse(time_arms(registry, contest, watch or Silent()))


def gate(
    base: str = "", head: str = "", *, base_env: str = "", backends: Sequence[str] = (),
    suites: Sequence[str] = ("correctness", "speed-short"), problems: Sequence[str | NamedProblem] = (),
    laws: Sequence[str] = (), budget_s: float | None = None, delta: float | None = None, resolve: float = 0.05,
    build: Build = "auto", extras: str = "", package: str | None = None, build_command: str = "",
    base_broken: BaseBroken = "fail", unqualified: bool = False, threads: int | None = None,
    claims: str | Path | None = None, limits: Sequence[Mapping[str, Any]] = (),
    plugins: Sequence[str] = (), without: Sequence[str] = (), output: str | Path | None = None,
    lease_wait_s: float | None = None, watch: Watch | None = None, resume: str | Path | None = None,
) -> Analysis:  # fmt: skip
    """Compare two versions of backends for a build, as `python -m harness gate`; `.gate_report` has the findings.

    base, head: revisions; an empty head is the checkout. base_env: environment of the base instead of a revision.
    backends, suites, problems, laws: what is compared. budget_s: wall time of all of it; delta: change that counts;
    resolve: undecided cells pass where a slow-down of this share is ruled out. build, extras: of both
    versions' environments. package: its folder in a monorepo. build_command: run in that folder of each version.
    base_broken: "ok" lets cells that the base could not run pass where the new version's own laws hold.
    claims: file of promises and known faults, against which the new version is held (docs/claims.md).
    limits: rows as in [[tool.harness.limits]] (docs/ci.md), such as {"suite": "networks-speed", "delta": "5%"}.
    unqualified: True to compare times on a machine never qualified. The rest as in `versus`.
    `.exit_code` is that of the command. Raises UsageError for what cannot be used.
    threads: of every worker. plugins: modules or ./files.py to load; without: plugins to leave out. output: new folder
    of the run. lease_wait_s: how long to wait for a device in use. watch: observer of the progress.
    resume: folder of an interrupted run, begun with the same arguments; only what is missing is done.
    """
    registry = load_all(plugins, without)
    wanted = Wanted(
        base=base, head=head, base_env=base_env, backends=backends, suites=suites, problems=problems, laws=laws,
        build=build, extras=extras, package=package, build_command=build_command, plugins=plugins, threads=threads,
        output=None if output is None else str(output), command=f"harness.gate({base!r}, {head!r})",
        lease_wait_s=lease_wait_s, resume=resume, claims=None if claims is None else load_claims(claims, registry),
    )  # fmt: skip
    armed = arm_gate(
        delta, resolve, threads, unqualified=unqualified, base_broken=base_broken,
        limits=check_limits(read_limits("limits", limits), registry),
    )  # fmt: skip
    return judge_versions(
        compare_versions(registry, wanted, armed, watch or Silent(), budget_s),
        find_repository(plugins),
    )


def judge_versions(run: Run, repository: Path | None) -> Analysis:
    """Analyse a run of two versions, and store with it which findings are accepted.

    repository: its blessings accept findings; None for none.
    """
    analysis = analyse(run, Acceptance())  # what a part of a resumed run has stored is looked up anew
    assert analysis.gate_report is not None
    return analysis.accepting(write_acceptance(analysis.gate_report, repository))


def compare(
    base: str | Path | Run, new: str | Path | Run, threshold: float = THRESHOLD, **unknown: Never
) -> Comparison:
    """Compare two stored runs cell by cell, as `python -m harness compare`; `.changes` has the findings.

    base, new: run directories, or runs. threshold: relative change of time that counts, at most 10.
    unknown: any other argument is refused; `harness.compare_arrays` compares arrays.
    Changes that the repository in the current folder accepts are BLESSED. `.exit_code` is that of the command.
    Raises UsageError for anything that is not a run, or a run that cannot be read.
    """
    for name, side in (("base", base), ("new", new)):
        if not isinstance(side, str | Path | Run):
            raise UsageError(f"compare: {name}: got {type(side).__name__}, wanted a run or its folder; {OF_ARRAYS}")
    if unknown:
        raise UsageError(f"compare: got {', '.join(unknown)}, wanted two runs and a threshold; {OF_ARRAYS}")
    if not isinstance(threshold, float | int) or not 0 < threshold <= MOST_THRESHOLD:
        raise UsageError(
            f"threshold: got {threshold!r}, wanted a relative change above 0 and at most {MOST_THRESHOLD:g}"
        )
    old, later = (side if isinstance(side, Run) else read_run(side) for side in (base, new))
    comparison, repository = compare_runs(old, later, threshold), find_repository(())
    return comparison if repository is None else accept_changes(comparison, read_blessings(repository), repository)


def load_all(plugins: Sequence[str], without: Sequence[str]) -> Registry:
    """Load plugins. Raises UsageError if a named one is broken."""
    registry = load_described(plugins, without)
    refuse_broken(registry)
    return registry
