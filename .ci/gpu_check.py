"""Check and time the backends of CUDA devices within minutes, without a network (`make gpu-check`, docs/gpu.md)."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from gpucheck.folder import write_folder
from gpucheck.parts import all_parts
from gpucheck.probe import BACKENDS
from gpucheck.requirements import ROOT, WHEELS, choose_wheels, install, read_requirements
from gpucheck.schedule import Clock, Ended, Part, decide, exit_code, run_part

MINUTES = 8.0
PACKING_S = 15.0
DIGEST_S = 30.0
PROBE = Path(__file__).resolve().parent / "gpucheck" / "probe.py"
DIGEST = PROBE.with_name("digest.py")


def main() -> int:
    """Run what fits; 0 all good, 1 something is wrong, 2 bad input, 4 some part did not run to its end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=MINUTES, help="for everything; default: 8")
    parser.add_argument("--output", type=Path, default=Path("gpu-check"), help="new or empty folder for the results")
    parser.add_argument("--wheels", type=Path, default=WHEELS, help="folder that `make gpu-wheels` fills")
    parser.add_argument("--backend", action="append", metavar="NAME", help=f"may be repeated; default: {BACKENDS}")
    parser.add_argument("--only", action="append", metavar="PART", help="this part alone; may be repeated")
    options = parser.parse_args()
    names = [part.name for part in all_parts(Path())]
    if unknown := [name for name in options.only or () if name not in names]:
        print(f"error: unknown part: got '{unknown[0]}', wanted one of {', '.join(names)}", file=sys.stderr)
        return 2
    if options.output.exists() and (not options.output.is_dir() or any(options.output.iterdir())):
        print(f"error: output folder is in use: got '{options.output}', wanted a new or empty one", file=sys.stderr)
        return 2
    clock = Clock(time.monotonic() + 60 * options.minutes)
    with tempfile.TemporaryDirectory(prefix="gpu-check-") as name:
        return check(options, clock, Path(name))


def check(options: argparse.Namespace, clock: Clock, work: Path) -> int:
    """Bring what is missing, probe, and run part after part; the output folder is written after each."""
    budget_s = clock.left_s
    for folder in ("logs", "runs"):
        (work / folder).mkdir()
    facts: dict[str, Any] = {"budget_s": round(budget_s), "lacks": []}
    ended: list[Ended] = []

    def record(one: Ended) -> None:
        ended.append(one)
        facts["seconds"] = budget_s - clock.left_s
        write_folder(options.output, work, facts, ended)
        print(f"{facts['seconds']:4.0f} s  {one.state:<11}  {one.title}{f': {one.reason}' if one.reason else ''}")

    environment, facts["lacks"] = prepare(options.wheels, work / "packages", work)
    for line in facts["lacks"]:
        print(f"missing: {line}")
    backends = tuple(options.backend or BACKENDS)
    command = (sys.executable, str(PROBE), *backends)
    probe = Part(name="probe", title="versions and devices", command=command, estimate_s=0, limit_s=90)
    first = run(probe, clock, work, environment)
    unavailable = dict(first.facts.get("unavailable", {}))
    facts |= {"python": first.facts.get("python"), "device": name_device(first.facts)}
    record(first)
    if first.state != "good":
        why = f"the probe ended with '{first.state}': {first.reason}; see its log"
        unavailable = dict.fromkeys((*backends, *BACKENDS), why)
    for part in all_parts(work / "runs", backends, unavailable):
        if not options.only or part.name in options.only:
            done = decide(part, clock.left_s - PACKING_S, unavailable)
            record(done or run(part, clock, work, environment))
    print(f"results: {options.output}")
    return 1 if facts["lacks"] and exit_code(ended) == 0 else exit_code(ended)


def prepare(wheels: Path, target: Path, work: Path) -> tuple[dict[str, str], list[str]]:
    """The environment of all parts, with what this Python lacks; and a line for each requirement that nothing meets."""
    choice = choose_wheels(read_requirements(), wheels)
    lacks = list(choice.lacks)
    for name in (path.name for path in choice.wheels):
        print(f"from {wheels}: {name}")
    try:
        install(choice.wheels, target)
    except subprocess.CalledProcessError as error:
        lacks.append(f"pip could not unpack the wheels of {wheels} (exit code {error.returncode})")
    paths = [str(target), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    own = {"PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    own |= {"HARNESS_LEASE_DIR": os.environ.get("HARNESS_LEASE_DIR", str(work / "leases"))}
    return os.environ | own, lacks


def run(part: Part, clock: Clock, work: Path, environment: Mapping[str, str]) -> Ended:
    """Run a part and add what it found: the JSON that it printed last, and a digest of its run."""
    log = work / "logs" / f"{part.name}.log"
    done = run_part(part, clock.left_s - PACKING_S, log, environment)
    found = read_last_json(log.read_text(errors="replace"))
    if part.run and (work / "runs" / part.run / "header.json").exists():
        command = [sys.executable, str(DIGEST), str(work / "runs" / part.run)]
        try:
            seconds = max(1.0, min(DIGEST_S, clock.left_s))
            output = subprocess.run(command, env=dict(environment), capture_output=True, text=True, timeout=seconds)
            found |= json.loads(output.stdout) if output.returncode == 0 else {"digest": output.stderr[-300:]}
        except (subprocess.TimeoutExpired, OSError) as error:
            found |= {"digest": f"{type(error).__name__}: {error}"}
    if not found and (lines := log.read_text(errors="replace").strip().splitlines()):
        found = {"last line": lines[-1][-500:]}
    return replace(done, facts=found)


def read_last_json(text: str) -> dict[str, Any]:
    """The object on the last line of a log; nothing where there is none."""
    lines = text.strip().splitlines()
    try:
        found = json.loads(lines[-1]) if lines else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def name_device(facts: Mapping[str, Any]) -> str:
    """The device's name as a library tells it, or as the driver does where no library can use it."""
    for library in ("torch device", "cupy device"):
        if library in facts:
            return str(facts[library]["name"])
    return ""


if __name__ == "__main__":
    sys.exit(main())
