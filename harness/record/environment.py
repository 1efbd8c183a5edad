"""The environment of a run, and its fingerprint, which decides whether two runs are comparable."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from harness.git import describe_checkout
from harness.machine.gpus import describe_gpus
from harness.machine.limits import describe_limits
from harness.machine.system import ROOT, describe_machine, parse_cpu_model, read_text
from harness.machine.threads import THREAD_VARIABLES

# Variables that affect times or arithmetic. Only these are read, because any other may contain a secret.
ALLOWED = (
    *THREAD_VARIABLES, "OMP_THREAD_LIMIT",
    "OMP_DYNAMIC", "MKL_DYNAMIC", "OMP_WAIT_POLICY", "OMP_PROC_BIND", "OMP_PLACES", "OMP_SCHEDULE",
    "GOMP_SPINCOUNT", "GOMP_CPU_AFFINITY", "KMP_BLOCKTIME", "KMP_AFFINITY", "OPENBLAS_CORETYPE",
    "OPENBLAS_THREAD_TIMEOUT", "MKL_CBWR", "MKL_ENABLE_INSTRUCTIONS", "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA",
    "ONEDNN_DEFAULT_FPMATH_MODE", "ATEN_CPU_CAPABILITY", "NPY_DISABLE_CPU_FEATURES", "CUDA_VISIBLE_DEVICES",
    "CUDA_LAUNCH_BLOCKING", "CUBLAS_WORKSPACE_CONFIG", "NVIDIA_TF32_OVERRIDE", "CI",
)  # fmt: skip
GIT_S = 5.0  # time limit, so that a large checkout does not delay a run
LIBRARIES = ("numpy", "scipy", "torch", "cupy-cuda13x", "pandas", "pyarrow", "pluggy")
# Fields of the fingerprint. It excludes values that change by themselves (frequency, load) or by a reboot, and values
# that compare_runs checks separately (threads, variables).
STABLE = ("cpu", "cores", "caches", "memory_gib", "machine", "system", "python", "libraries")


def describe_environment(threads: int | None = None) -> dict[str, Any]:
    """Describe machine, container, system, interpreter, libraries, GPUs, git state and the allowed variables.

    threads: thread count of the workers that take times; None for all cores.
    """
    import psutil

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    record = {
        "cpu": parse_cpu_model(read_text(ROOT / "proc/cpuinfo")) or platform.processor() or platform.machine(),
        "cores": cores,
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "machine": platform.machine(),
        "system": platform.system(),
        "threads": threads or cores,
        "kernel": platform.release(),
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "libraries": {name: version for name in LIBRARIES if (version := _version(name))},
        "blas": describe_blas(),
        "git": _git_state(),
        "variables": {name: os.environ[name] for name in ALLOWED if name in os.environ},
        **describe_machine(),
        "limits": describe_limits(),
        "gpus": describe_gpus(),
    }
    return {**record, "fingerprint": fingerprint(record)}


def fingerprint(record: Mapping[str, Any]) -> str:
    """Compute twelve hexadecimal digits that are equal if and only if the stable fields and the GPU names are equal."""
    stable = {name: record[name] for name in STABLE} | {"gpus": sorted(str(gpu["name"]) for gpu in record["gpus"])}
    return hashlib.sha256(json.dumps(stable, sort_keys=True).encode()).hexdigest()[:12]


def describe_threads() -> list[dict[str, Any]]:
    """Describe the thread pools of the native libraries that this process has loaded; call it in a worker."""
    from threadpoolctl import threadpool_info

    keys = ("user_api", "internal_api", "version", "num_threads", "threading_layer", "architecture")
    return [
        # only the file name: its folder may contain the user's name
        {"library": Path(pool["filepath"]).name, **{key: pool[key] for key in keys if key in pool}}
        for pool in threadpool_info()
    ]


def describe_blas() -> dict[str, str] | None:
    """Return name and version of the BLAS that NumPy was built with; None if NumPy does not report it."""
    import numpy as np

    config = np.show_config(mode="dicts")
    blas = config.get("Build Dependencies", {}).get("blas", {}) if isinstance(config, dict) else {}
    return {name: str(blas[name]) for name in ("name", "version") if name in blas} or None


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _git_state() -> dict[str, Any]:
    """Revision and dirty flag of the working directory; empty outside a checkout."""
    revision, dirty = describe_checkout(Path(), GIT_S)
    return {"revision": revision, "dirty": dirty} if revision else {}
