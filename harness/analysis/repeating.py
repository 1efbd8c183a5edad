"""Command line that repeats one result of a run."""

from __future__ import annotations

import shlex

from harness.plan.arm import parse_arm, write_settings
from harness.record.run import ArmRecord, Header, Result


def repeat_command(header: Header, result: Result) -> str:
    """Return the command line that repeats a result, with the plugins that the run was given.

    A timed cell of arms is repeated with all arms of its family. A law runs on the current checkout, unless the arm is
    another revision, with the same number of threads.
    """
    arm = next((one for one in header.arms if one.name == result.arm), None)
    if arm is not None and result.kind in ("speed", "count"):  # a cell of arms is repeated with all of them
        family = [one for one in header.arms if one.family == arm.family]
        arms = [one.text if one.name == one.text else f"{one.name}={one.text}" for one in family]
        parts = ["python", "-m", "harness", "versus", *arms, "--suite", result.suite, "--problem", result.problem]
        parts += _metric(result)
        return shlex.join([*parts, *(word for plugin in header.plugins for word in ("--plugin", plugin))])
    if arm is not None and (versions := _versions(header, arm)):
        name = arm.backend + write_settings(parse_arm(arm.text or arm.backend).environment.settings)
        parts = ["python", "-m", "harness", "gate", *versions, "--backend", name, "--suite", result.suite]
        parts += ["--problem", result.problem, *(("--law", result.law) if result.law else ())]
        parts += [word for plugin in header.plugins for word in ("--plugin", plugin)]
        return shlex.join([*parts, *(("--threads", str(result.threads)) if result.threads else ())])
    parts = ["python", "-m", "harness", "run", result.suite, "--problem", result.problem]
    if result.kind != "consensus":  # one backend alone cannot vote
        parts += [
            "--backend",
            result.arm if arm is None else _repeatable(header, arm),
            *(("--law", result.law) if result.law else ()),
        ]
    parts += _metric(result)
    parts += [*header.flags, *(word for plugin in header.plugins for word in ("--plugin", plugin))]
    if result.threads and result.kind != "count" and "--threads" not in header.flags:
        parts += ["--threads", str(result.threads)]
    return shlex.join(parts)


def _metric(result: Result) -> list[str]:
    """Options by which a cell is counted instead of timed."""
    return ["--metric", "instructions"] if result.kind == "count" else []


def _repeatable(header: Header, arm: ArmRecord) -> str:
    """The arm as `run` takes it; in a comparison of versions, the current checkout replaces a revision."""
    environment = parse_arm(arm.text or arm.backend).environment
    whole = header.gate is None or not environment.elsewhere
    return (arm.text or arm.backend) if whole else arm.backend + write_settings(environment.settings)


def _versions(header: Header, arm: ArmRecord) -> list[str]:
    """Options of `gate` for an arm of another revision and its base; empty if the arm is the checkout itself."""
    base = next(one for one in header.arms if one.name == header.base_of[arm.name])
    old, new = (parse_arm(one.text or one.backend).environment.revision for one in (base, arm))
    return ["--base", old, "--head", new] if old and new else []
