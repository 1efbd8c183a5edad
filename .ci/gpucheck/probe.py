"""Probe of the machine: versions, devices, and which backends can run; printed as JSON."""

from __future__ import annotations

import contextlib
import json
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path
from typing import Any

BACKENDS = ("torch-cudnn", "cupy", "cupy-fft")
LIBRARIES = ("torch", "numpy", "scipy", "pandas", "pyarrow", "pytest", "msgspec", "ml-dtypes", "plotly", "nvidia-ml-py")
ASKED = "name,driver_version,memory.total,clocks.sm,clocks.max.sm,power.limit,temperature.gpu,mig.mode.current"


def main(backends: Sequence[str]) -> None:
    """Print the facts; unknown ones are left out. backends: those to probe, each in its own process."""
    from harness.plugins.manager import load_plugins

    versions = {}
    for name in (*LIBRARIES, *(d.metadata["Name"] for d in metadata.distributions() if "cupy" in d.metadata["Name"])):
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    known = tuple(load_plugins().backends)
    if unknown := [name for name in backends if name not in known]:
        json.dump({"unknown": unknown, "known": known}, sys.stdout)
        return
    names = tuple(dict.fromkeys((*backends, *BACKENDS)))
    with ThreadPoolExecutor(len(names)) as pool:
        reasons = {name: reason for name, reason in zip(names, pool.map(probe, names), strict=True) if reason}
    facts: dict[str, Any] = {"python": platform.python_version(), "kernel": platform.release(), "versions": versions}
    facts |= {"unavailable": reasons, "nvidia-smi": ask_driver()}
    for backend, name, read in (("torch-cudnn", "torch", describe_torch), ("cupy", "cupy", describe_cupy)):
        if backend not in reasons:
            with contextlib.suppress(Exception):  # a missing fact is no reason to stop
                facts[f"{name} device"] = read()
    json.dump(facts, sys.stdout)


def probe(backend: str) -> str:
    """Return why a backend cannot run here, as reported by its own worker; "" if it can."""
    from harness.execution.worker_supervisor import WorkerSupervisor
    from harness.plugins.manager import load_plugins

    with tempfile.TemporaryDirectory() as folder:
        supervisor = WorkerSupervisor(load_plugins(), backend, Path(folder), 32 * 2**30, None, ())
        try:
            return supervisor.launch()[1].reason
        finally:
            supervisor.close()


def ask_driver() -> str:
    """Return a line of nvidia-smi for each device, or why there is none."""
    if shutil.which("nvidia-smi") is None:
        return "nvidia-smi is not on the PATH"
    command = ["nvidia-smi", f"--query-gpu={ASKED}", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"nvidia-smi: {error}"
    return "; ".join((done.stdout or done.stderr).strip().splitlines())


def describe_torch() -> dict[str, Any]:
    """Describe the current device as PyTorch reports it."""
    import torch

    cudnn: Any = torch.backends.cudnn
    facts = torch.cuda.get_device_properties(torch.cuda.current_device())
    return {
        "name": facts.name, "capability": f"{facts.major}.{facts.minor}", "processors": facts.multi_processor_count,
        "memory_gib": round(facts.total_memory / 2**30, 1), "l2_mib": facts.L2_cache_size / 2**20,
        "cuda": torch.version.cuda, "cudnn": cudnn.version(),
    }  # fmt: skip


def describe_cupy() -> dict[str, Any]:
    """Describe the current device as CuPy reports it."""
    import cupy

    device, runtime = cupy.cuda.Device(), cupy.cuda.runtime
    return {
        "name": runtime.getDeviceProperties(device.id)["name"].decode(), "capability": device.compute_capability,
        "l2_mib": device.attributes["L2CacheSize"] / 2**20, "bus": device.pci_bus_id,
        "cuda": runtime.runtimeGetVersion(), "driver": runtime.driverGetVersion(),
    }  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1:])
