"""The environment of a run, and the fingerprint that says whether two runs may be compared."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

ALLOWED = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_WAIT_POLICY", "OMP_PROC_BIND", "GOMP_SPINCOUNT",
    "KMP_BLOCKTIME", "CUDA_VISIBLE_DEVICES", "NVIDIA_TF32_OVERRIDE", "CI",
)  # fmt: skip
LIBRARIES = ("numpy", "scipy", "torch", "cupy-cuda13x", "pandas", "pyarrow", "pluggy")


def describe_environment(threads: int | None = None) -> dict[str, Any]:
    """Machine, operating system, interpreter, libraries, git state and allowed environment variables.

    threads: those of the workers that take times; None stands for all cores.
    """
    import psutil

    stable = {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "machine": platform.machine(),
        "system": platform.system(),
    }
    libraries = {name: version for name in LIBRARIES if (version := _version(name))}
    text = repr(sorted({**stable, **libraries, "python": platform.python_version()}.items()))
    return {
        **stable,
        "threads": threads or stable["cores"],
        "kernel": platform.release(),
        "python": platform.python_version(),
        "libraries": libraries,
        "git": _git_state(),
        "variables": {name: os.environ[name] for name in ALLOWED if name in os.environ},
        "fingerprint": hashlib.sha256(text.encode()).hexdigest()[:12],
    }


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _git_state() -> dict[str, Any]:
    """Revision and dirtiness of the working directory; empty outside a checkout."""
    try:
        head = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5)
        if head.returncode:
            return {}
        dirty = subprocess.run(["git", "status", "--porcelain"], capture_output=True, text=True, timeout=5)
        return {"revision": head.stdout.strip(), "dirty": bool(dirty.stdout.strip())}
    except (OSError, subprocess.TimeoutExpired):
        return {}
