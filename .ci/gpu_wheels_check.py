"""Run the check of CUDA devices in a fresh environment without a network, with the carried wheels alone.

`make gpu-wheels-check`: the environment contains what a machine with a device provides (PROVIDED and its requirements),
linked from the current environment, and nothing else. The harness must run there, including the report.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import venv
from importlib import metadata
from pathlib import Path

from gpucheck.parts import all_parts
from gpucheck.requirements import PROVIDED, ROOT, WHEELS, find_missing

TESTED = ("tests", "cheats")  # parts that are tests: all their imports must succeed
RUN = ("run", "correctness", "speed-short", "--backend", "im2col", "--problem", "conv x=2x3x9x8 w=6x3x3x2")
UNPACK = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from gpucheck.requirements import WHEELS, choose_wheels, install, read_requirements
wheels = choose_wheels(read_requirements(), WHEELS).wheels
install(wheels, Path(sys.argv[2]))
print(len(wheels))
"""


def main() -> int:
    """Return 0 if the check and a run of the harness succeed there; else 1, after printing what failed."""
    with tempfile.TemporaryDirectory(prefix="gpu-wheels-") as name:
        place = Path(name)
        venv.create(place / "venv", with_pip=False)  # unpacking must not need pip
        site = next((place / "venv" / "lib").glob("python3*")) / "site-packages"
        linked = link_provided(site)
        python = place / "venv" / "bin" / "python"
        print(f"{len(linked)} distributions that a machine brings are linked: {', '.join(sorted(linked))}")
        check = [str(python), str(ROOT / ".ci" / "gpu_check.py"), "--output", str(place / "out"), "--minutes", "3"]
        done = subprocess.run([*offline(), *check], env=environment(), text=True, capture_output=True, timeout=200)
        print(done.stdout, done.stderr, sep="", end="")
        results = json.loads((place / "out" / "results.json").read_text())
        probe = results["parts"][0]
        faults = [f"missing: {text}" for text in results["lacks"]]
        faults += [f"the probe: {probe}"] if probe["state"] != "good" else []
        faults += run_harness(python, place)
    for text in faults:
        print(f"error: {text}", file=sys.stderr)
    print("the wheels bring all that the check needs" if not faults else "the wheels do not suffice")
    return 1 if faults else 0


def offline() -> list[str]:
    """Return the command that cuts off the network; empty if the system does not allow it."""
    cut = ["unshare", "--map-root-user", "--net"]
    allowed = shutil.which("unshare") and subprocess.run([*cut, "true"], capture_output=True).returncode == 0
    print("network: cut off" if allowed else "network: not cut off (unshare is not allowed); pip has no index")
    return cut if allowed else []


def environment(**more: str) -> dict[str, str]:
    """Return the present environment without settings that point to this Python's packages or to an index."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON", "VIRTUAL_ENV"))}
    return kept | {"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull} | more


def link_provided(site: Path) -> set[str]:
    """Link installed distributions of PROVIDED, and their requirements, into another environment; return the names."""
    todo, done = [name for name in PROVIDED if not find_missing([name])], set()
    while todo:
        name = todo.pop()
        if name in done:
            continue
        done.add(name)
        found = metadata.distribution(name)
        needs = [need for need in found.requires or () if not find_missing([need]) and applies(need)]
        todo += [re.split(r"[^\w.-]", need, maxsplit=1)[0].lower().replace("_", "-") for need in needs]
        for top in {path.parts[0] for path in found.files or () if path.parts[0] not in ("..", "__pycache__")}:
            source, target = Path(str(found.locate_file(top))), site / top
            if source.exists() and not target.exists():
                target.symlink_to(source)
    return done


def applies(need: str) -> bool:
    """Return True if a requirement applies here: neither for another system nor for an extra."""
    from gpucheck.requirements import packaging

    marker = packaging("requirements").Requirement(need).marker
    return marker is None or bool(marker.evaluate({"extra": ""}))


def run_harness(python: Path, place: Path) -> list[str]:
    """Run laws, write a report, read a history and import all tests with the same wheels; return what failed."""
    target, faults = place / "packages", []
    unpack = [str(python), "-c", UNPACK, str(ROOT / ".ci"), str(target)]
    asked = subprocess.run(unpack, env=environment(), text=True, capture_output=True)
    if asked.returncode:
        return [f"the wheels could not be unpacked there: {asked.stderr[-500:]}"]
    if asked.stdout.strip() == "0":
        return [f"nothing is missing there, so that {WHEELS} was not tried"]
    paths = {"PYTHONPATH": os.pathsep.join((str(target), str(ROOT)))}
    commands = [
        ("-m", "harness", *RUN, "--output", str(place / "runs" / "one")),
        ("-m", "harness", "history", "--runs", str(place / "runs")),
        *(("-m", *part.command[2:], "--collect-only") for part in all_parts(place) if part.name in TESTED),
    ]
    for command in commands:
        asked = subprocess.run(
            [*offline(), str(python), *command], env=environment(**paths), text=True, capture_output=True, timeout=200,
            cwd=ROOT,
        )  # fmt: skip
        print(asked.stdout, end="")
        told = (asked.stderr or asked.stdout)[-500:]
        faults += [f"{' '.join(command[1:4])} ended with {asked.returncode}: {told}"] if asked.returncode else []
    page = place / "runs" / "one" / "report" / "report.html"
    return faults + ([] if page.exists() and "Plotly" in page.read_text() else ["the run has no report with figures"])


if __name__ == "__main__":
    sys.exit(main())
