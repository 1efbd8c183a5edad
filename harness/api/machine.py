"""Suitability of this machine: its noise, and how far its verdicts can be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.analysis.qualification import Qualification
from harness.api.comparing import load_all
from harness.execution.progress import Silent, Watch
from harness.experiments.qualify import BUDGET_S, run_arms, store_run
from harness.machine.diagnosis import Finding, diagnose
from harness.plan.gate import DELTA


def doctor(seconds: float = 2.5) -> list[Finding]:
    """Diagnose noise of this machine, with advice, as `python -m harness doctor`.

    seconds: duration of the probes. Nothing is changed; a property that cannot be read has the state "unknown".
    """
    return list(diagnose(seconds))


def qualify(
    *backends: str, budget_s: float = BUDGET_S, delta: float = DELTA, power: bool = True, threads: int | None = None,
    plugins: Sequence[str] = (), without: Sequence[str] = (), output: str | Path | None = None,
    lease_wait_s: float | None = None, watch: Watch | None = None,
) -> Qualification:  # fmt: skip
    """Compare identical arms and known slow-downs, as `python -m harness qualify`; return all counts of this machine.

    backends: by default numpy-direct, im2col and torch. budget_s: wall time of all passes.
    delta: relative change that counts. power: False for identical arms only. threads: of every worker.
    plugins, without, output, lease_wait_s, watch: as in `versus`.
    `.failures` has the reasons why a gate must not be armed here.
    Raises NotQualifiedError for a run that is wrong, incomplete or too short.
    plugins: modules or ./files.py to load; without: plugins to leave out. output: new folder of the run.
    lease_wait_s: how long to wait for a device in use. watch: observer of the progress.
    """
    run = run_arms(
        load_all(plugins, without), backends, delta, budget_s, None if output is None else str(output), plugins,
        threads, watch or Silent(), power=power, command="harness.qualify()", lease_wait_s=lease_wait_s,
    )  # fmt: skip
    return store_run(run).total
