"""The parts of the check, most valuable first: if time runs out, the last ones are cut."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Sequence
from pathlib import Path

from gpucheck.probe import BACKENDS
from gpucheck.requirements import ROOT
from gpucheck.schedule import Part

HERE = Path(__file__).resolve().parent
LAYERS = str(HERE / "layers.py")
JOBS = min(8, os.cpu_count() or 1)  # each job has its own context on the device
MEMORY = "24GiB"  # of the host: a process that loads CUDA's libraries takes several GiB
TESTS = ("tests/measure", "tests/backends")  # folders with tests marked `gpu`, except the cheats
EVERY_LAW = "no_law_is_broken"  # test of all laws on a backend; the parts below do the same in less time
VERSUS = ("conv x=32x64x56x56 w=64x64x3x3 pad=1", "conv x=32x1x32x32 w=6x1x5x5")


def all_parts(runs: Path, backends: Sequence[str] = BACKENDS, unavailable: Collection[str] = ()) -> list[Part]:
    """Return every part except the probe.

    runs: folder for their run directories.
    backends: those to check.
    unavailable: backends that are not run.
    """
    python, needs = sys.executable, tuple(backends)
    names = tuple(name for name in needs if name not in unavailable) or needs
    chosen = tuple(word for name in names for word in ("--backend", name))
    laws = ("--jobs", str(JOBS), "--memory-limit", MEMORY, "--format", "markdown", "--format", "csv")
    timed = ("--memory-limit", MEMORY, "--plugin", LAYERS, *chosen)

    def harness(*words: str) -> tuple[str, ...]:
        return (python, "-m", "harness", *words)

    def suite(name: str, title: str, estimate_s: float, limit_s: float) -> Part:
        command = harness("run", f"gpu-{name}", *timed, "--output", str(runs / name))
        return Part(
            name=name, title=title, command=command, estimate_s=estimate_s, limit_s=limit_s, needs=needs, run=name
        )

    tests = (python, "-m", "pytest", "-m", "gpu", "-rfEs", "-W", "default", "--rootdir", str(ROOT))
    return [
        Part(
            name="tests", title="tests marked gpu", estimate_s=20, limit_s=70, needs=BACKENDS,
            command=(*tests, "-k", f"not {EVERY_LAW}", *(str(ROOT / folder) for folder in TESTS)),
        ),
        Part(
            name="covering", title="correctness, a covering part", estimate_s=30, limit_s=100, needs=needs,
            command=(python, str(HERE / "covering.py"), *names, "--", *laws, "--output", str(runs / "covering")),
            run="covering",
        ),
        Part(
            name="peaks", title="peaks of the device", estimate_s=15, limit_s=60, needs=BACKENDS,
            command=(python, "-m", "gpucheck.peaks"),
        ),
        suite("layers", "times of layers forwards, float32, hot", 40, 90),
        Part(
            name="cheats", title="cheats that only a device allows", estimate_s=25, limit_s=70, needs=BACKENDS,
            command=(*tests, str(ROOT / "tests/cheats/test_device.py")),
        ),
        Part(
            name="same", title=f"A/A: {names[0]} against itself", estimate_s=40, limit_s=60, needs=names[:1],
            command=harness(
                "versus", f"first={names[0]}", f"second={names[0]}", "--suite", "gpu-layers", "--plugin", LAYERS,
                "--budget", "35s", *(word for line in VERSUS for word in ("--problem", line)),
                "--output", str(runs / "same"),
            ),
            run="same",
        ),
        Part(
            name="network", title="ResNet-18, a training step against float64", estimate_s=25, limit_s=60, needs=needs,
            command=harness(
                "run", "networks", "--network", "resnet18", *chosen, *laws, "--output", str(runs / "network")
            ),
            run="network",
        ),
        suite("gradients", "times of gradients, float32, hot", 40, 90),
        suite("formats", "times in TF32, float16 and bfloat16", 30, 60),
        suite("cold", "times of layers with a cold cache", 25, 50),
        Part(
            name="correctness", title="correctness, all of it", estimate_s=25, limit_s=400, needs=needs,
            command=harness("run", "correctness", *chosen, *laws, "--output", str(runs / "correctness")),
            run="correctness",
        ),
    ]  # fmt: skip
