"""Limits of a container: processors, memory and processor time of its control group (cgroup), version 2 or 1."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.machine.system import ROOT, parse_kilobytes, parse_number, read_text

NO_LIMIT = 2**60  # version 1 reports "no limit" as the largest multiple of the page size
USABLE = 0.9
_GROUPS = "sys/fs/cgroup"


def describe_limits(root: Path = ROOT) -> dict[str, Any]:
    """Return the cgroup version, and the tightest limits from this process's group up to the root.

    cpus: processor time, as a number of processors. memory_bytes: memory. cpuset: list of processors, as text.
    None stands for no limit, and for a value that cannot be read.
    """
    version = read_version(root)
    read = {2: _read_v2, 1: _read_v1}.get(version or 0)
    limits = read(root) if read else {"cpus": None, "memory_bytes": None, "cpuset": None}
    return {"cgroup": version, **limits}


def read_free_memory(root: Path = ROOT) -> int | None:
    """Return the bytes that a new process can allocate without swapping; None if nothing can be read.

    This is the minimum over the machine and every cgroup up to the root. Reclaimable cache counts as free.
    """
    own = {2: _remaining_v2, 1: _remaining_v1}.get(read_version(root) or 0)
    remaining = [parse_kilobytes(read_text(root / "proc/meminfo"), "MemAvailable"), *(own(root) if own else ())]
    return min((rest for rest in remaining if rest is not None), default=None)


def usable_memory(root: Path = ROOT) -> int | None:
    """Return the bytes that one process may fill: the share USABLE of the free memory; the system keeps the rest."""
    free = read_free_memory(root)
    return None if free is None else int(USABLE * free)


def read_version(root: Path = ROOT) -> int | None:
    """Return the version of the cgroups that hold the limits; None without cgroups."""
    if (root / _GROUPS / "cgroup.controllers").exists():
        return 2
    return 1 if any((root / _GROUPS / name).is_dir() for name in ("cpu", "memory", "cpuset")) else None


def parse_group(text: str | None, controller: str) -> str:
    """Parse the path of a controller's group in /proc/self/cgroup; an empty controller stands for version 2."""
    for line in (text or "").splitlines():
        _, names, path = [*line.split(":", 2), "", ""][:3]
        if controller in names.split(",") and path:
            return path
    return "/"


def parse_quota(text: str | None) -> float | None:
    """Parse a line `quota period`, both in µs, into a number of processors; None (no limit) for `max` or negatives."""
    quota, period = ([parse_number(word) for word in (text or "").split()] + [None, None])[:2]
    return quota / period if quota is not None and period and quota > 0 else None


def parse_throttling(text: str | None) -> tuple[int, int] | None:
    """Parse cpu.stat: number of periods, and number of periods in which the group was throttled."""
    pairs = dict(line.split(None, 1) for line in (text or "").splitlines() if len(line.split()) == 2)
    periods, throttled = parse_number(pairs.get("nr_periods")), parse_number(pairs.get("nr_throttled"))
    return None if periods is None or throttled is None else (periods, throttled)


def read_throttling(root: Path = ROOT) -> tuple[int, int] | None:
    """Return (periods, throttled periods) of the nearest group that counts them; None without such a group."""
    controller = "" if read_version(root) == 2 else "cpu"
    texts = (read_text(folder / "cpu.stat") for folder in list_groups(root, controller))
    return next((found for text in texts if (found := parse_throttling(text))), None)


def list_groups(root: Path, controller: str) -> Iterator[Path]:
    """Yield the folders from this process's group up to the root; inside a container, folders above it do not exist.

    controller: of version 1; empty for version 2.
    """
    top = root / _GROUPS / controller
    path = parse_group(read_text(root / "proc/self/cgroup"), controller).strip("/")
    own = top / path if path else top
    while own != top:
        yield own
        own = own.parent
    yield top


def _read_v2(root: Path) -> dict[str, Any]:
    folders = list(list_groups(root, ""))
    sets = (read_text(folder / "cpuset.cpus.effective") for folder in folders)
    return {
        "cpus": _least(parse_quota(read_text(folder / "cpu.max")) for folder in folders),
        "memory_bytes": _least(parse_number(read_text(folder / "memory.max")) for folder in folders),
        "cpuset": next((text for text in sets if text), None),
    }


def _read_v1(root: Path) -> dict[str, Any]:
    quotas = (
        parse_quota(f"{read_text(folder / 'cpu.cfs_quota_us')} {read_text(folder / 'cpu.cfs_period_us')}")
        for folder in list_groups(root, "cpu")
    )
    sizes = (parse_number(read_text(folder / "memory.limit_in_bytes")) for folder in list_groups(root, "memory"))
    sets = (read_text(folder / "cpuset.cpus") for folder in list_groups(root, "cpuset"))
    return {
        "cpus": _least(quotas),
        "memory_bytes": _least(size for size in sizes if size is not None and size < NO_LIMIT),
        "cpuset": next((text for text in sets if text), None),
    }


def _remaining_v2(root: Path) -> list[int | None]:
    names = ("memory.max", "memory.current", "inactive_file")
    return [_remaining(folder, *names) for folder in list_groups(root, "")]


def _remaining_v1(root: Path) -> list[int | None]:
    names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
    return [_remaining(folder, *names) for folder in list_groups(root, "memory")]


def _remaining(folder: Path, most: str, used: str, cache: str) -> int | None:
    """Unused part of a group's limit plus its reclaimable cache, in bytes; None without a limit."""
    limit, usage = (parse_number(read_text(folder / name)) for name in (most, used))
    if limit is None or usage is None or limit >= NO_LIMIT:
        return None
    counted = dict(line.split(None, 1) for line in (read_text(folder / "memory.stat") or "").splitlines())
    return max(0, limit - usage + (parse_number(counted.get(cache)) or 0))


def _least(values: Iterator[Any]) -> Any:
    return min((value for value in values if value is not None), default=None)
