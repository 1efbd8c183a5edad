"""Check and time the backends of CUDA devices within minutes, without a network (`make gpu-check`, docs/gpu.md)."""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from gpucheck.folder import write_folder
from gpucheck.parts import all_parts
from gpucheck.probe import BACKENDS
from gpucheck.requirements import ROOT, WHEELS, WheelError, choose_wheels, install, read_requirements
from gpucheck.schedule import SHORT_GRACE_S, Clock, Ended, Part, decide, exit_code, run_part

MINUTES = 8.0
PACKING_S = 15.0
DIGEST_S = 30.0
WRITING_S = 6.0  # of PACKING_S, for writing the archives
LAST = 500  # characters of a log's last line
PROBE = Path(__file__).resolve().with_name("probe.py")
DIGEST = PROBE.with_name("digest.py")


def main() -> int:
    """Run what fits; return 0 if all is good, 1 if something is wrong, 2 for bad input, 4 if a part was cut off."""
    parser = argparse.ArgumentParser(prog="gpu_check.py", description=__doc__)
    parser.add_argument("--minutes", type=read_minutes, default=MINUTES, help="for everything; default: 8")
    parser.add_argument("--output", type=Path, default=Path("gpu-check"), help="new or empty folder for the results")
    parser.add_argument("--wheels", type=Path, default=WHEELS, help="folder that `make gpu-wheels` fills")
    parser.add_argument("--backend", action="append", metavar="NAME", help=f"may be repeated; default: {BACKENDS}")
    parser.add_argument("--only", action="append", metavar="PART", help="this part alone; may be repeated")
    options = parser.parse_args()
    sys.stdout.reconfigure(line_buffering=True)  # so that output reaches a pipe even if this process is killed
    names = [part.name for part in all_parts(Path())]
    if unknown := [name for name in options.only or () if name not in names]:
        print(f"error: unknown part: got '{unknown[0]}', wanted one of {', '.join(names)}", file=sys.stderr)
        return 2
    if reason := refuse_output(options.output):
        print(f"error: {reason}", file=sys.stderr)
        return 2
    clock = Clock(time.monotonic() + 60 * options.minutes)
    clock.listen()
    with tempfile.TemporaryDirectory(prefix="gpu-check-", ignore_cleanup_errors=True) as name:
        try:
            return check(options, clock, Path(name))
        except (WheelError, UnknownError) as error:
            print(f"error: {error}", file=sys.stderr)
            return 2


class UnknownError(Exception):
    """An unknown backend; the text lists the known ones."""


def read_minutes(text: str) -> float:
    """Parse a number of minutes. Raises argparse.ArgumentTypeError."""
    try:
        minutes = float(text)
    except ValueError:
        minutes = math.nan
    if not 0 < minutes < math.inf:
        raise argparse.ArgumentTypeError(f"got '{text}', wanted a number of minutes above 0, such as {MINUTES:g}")
    return minutes


def refuse_output(folder: Path) -> str:
    """Make the output folder; return why it cannot be used, "" if it can."""
    wanted = "wanted a new or empty folder that can be written; choose another one: --output, or OUTPUT=..."
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder):
            used = len(list(folder.iterdir())) > 1
    except FileExistsError:
        return f"output folder: got '{folder}', which is a file; {wanted}"
    except OSError as error:
        return f"output folder: got '{folder}' ({error.strerror}); {wanted}"
    return f"output folder: got '{folder}', which has files in it; {wanted}" if used else ""


def check(options: argparse.Namespace, clock: Clock, work: Path) -> int:
    """Unpack missing packages, probe, and run the parts in order; the output folder is written after each part.

    options: of the command line.
    work: temporary folder.
    Returns the exit code. Raises WheelError and UnknownError, before anything is written.
    """
    budget_s = clock.left_s
    for folder in ("logs", "runs"):
        (work / folder).mkdir()
    facts: dict[str, Any] = {"budget_s": round(budget_s), "lacks": []}
    ended: list[Ended] = []
    lost: list[str] = []

    def record(one: Ended) -> None:
        ended.append(one)
        facts["seconds"] = budget_s - clock.left_s
        try:
            write_folder(options.output, work, facts, ended)
        except OSError as error:  # the next write may succeed, and is complete by itself
            lost.append(f"{one.name}: {error}")
            print(f"error: output folder: '{options.output}' could not be written: {error}", file=sys.stderr)
        print(f"{facts['seconds']:4.0f} s  {one.state:<11}  {one.title}{f': {one.reason}' if one.reason else ''}")

    environment, facts["lacks"] = prepare(options.wheels, work / "packages", work)
    for line in facts["lacks"]:
        print(f"missing: {line}")
    backends = tuple(options.backend or BACKENDS)
    command = (sys.executable, str(PROBE), *backends)
    probe = Part(name="probe", title="versions and devices", command=command, estimate_s=0, limit_s=90, wrong=())
    first = run(probe, clock, work, environment)
    if unknown := first.facts.get("unknown"):
        raise UnknownError(f"backend: got '{unknown[0]}', wanted one of {', '.join(first.facts['known'])}")
    unavailable = dict(first.facts.get("unavailable", {}))
    facts |= {"python": first.facts.get("python"), "device": name_device(first.facts)}
    record(first)
    if first.state != "good":
        why = f"the probe was {first.state}: {first.reason}"
        unavailable = dict.fromkeys((*backends, *BACKENDS), why)
    for part in all_parts(work / "runs", backends, unavailable):
        if not options.only or part.name in options.only:
            done = decide(part, clock.left_s - PACKING_S, unavailable, clock.stopped)
            record(done or run(part, clock, work, environment))
    print(f"results: {options.output}")
    return 1 if (lost or facts["lacks"]) and exit_code(ended) == 0 else exit_code(ended)


def prepare(wheels: Path, target: Path, work: Path) -> tuple[dict[str, str], list[str]]:
    """Return the environment of all parts, with the packages this Python lacks, and a line for each unmet requirement.

    wheels: folder of the carried wheels.
    target: folder for the unpacked packages.
    work: temporary folder.
    Raises WheelError.
    """
    choice = choose_wheels(read_requirements(), wheels)
    for name in (path.name for path in choice.wheels):
        print(f"from {wheels}: {name}")
    install(choice.wheels, target)
    paths = [str(target), str(ROOT), str(PROBE.parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    own = {"PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    own |= {"HARNESS_LEASE_DIR": os.environ.get("HARNESS_LEASE_DIR", str(work / "leases"))}
    return os.environ | own, list(choice.lacks)


def run(part: Part, clock: Clock, work: Path, environment: Mapping[str, str]) -> Ended:
    """Run a part and add its facts: the JSON that it printed last, and a digest of its run.

    work: temporary folder with `logs` and `runs`.
    environment: variables of the part.
    """
    log = work / "logs" / f"{part.name}.log"
    done = run_part(part, clock.left_s - PACKING_S, log, environment, clock=clock)
    lines = log.read_text(errors="replace").strip().splitlines()
    found = read_last_json(lines)
    if done.state in ("wrong", "broken") and not found and lines:
        done = replace(done, reason=f"{done.reason}: {lines[-1][-LAST:]}")
    if part.run and (work / "runs" / part.run / "header.json").exists():
        command = [sys.executable, str(DIGEST), str(work / "runs" / part.run)]
        try:
            seconds = max(1.0, min(SHORT_GRACE_S if clock.stopped else DIGEST_S, clock.left_s - WRITING_S))
            output = subprocess.run(command, env=dict(environment), capture_output=True, text=True, timeout=seconds)
            found |= json.loads(output.stdout) if output.returncode == 0 else {"digest": output.stderr[-300:]}
        except (subprocess.TimeoutExpired, OSError) as error:
            found |= {"digest": f"{type(error).__name__}: {error}"}
    if not found and lines:
        found = {"last line": lines[-1][-LAST:]}
    return judge_run(replace(done, facts=found))


def judge_run(one: Ended) -> Ended:
    """Return the part's result, as skipped if a backend has no result that counts, with the most frequent reason."""
    idle = one.facts.get("nothing passed") if one.state == "good" else None
    return replace(one, state="skipped", reason=str(idle)) if idle else one


def read_last_json(lines: Sequence[str]) -> dict[str, Any]:
    """Return the object on the last line of a log; empty if there is none."""
    try:
        found = json.loads(lines[-1]) if lines else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def name_device(facts: Mapping[str, Any]) -> str:
    """Return the device's name as reported by PyTorch or CuPy; "" if neither can use it."""
    for library in ("torch device", "cupy device"):
        if library in facts:
            return str(facts[library]["name"])
    return ""
