"""What a container may use: processors, memory and processor time of its control group, version 2 or 1."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.machine.system import ROOT, parse_kilobytes, parse_number, read_text

NO_LIMIT = 2**60  # version 1 writes "no limit" as the largest multiple of a page
USABLE = 0.9
_GROUPS = "sys/fs/cgroup"


def describe_limits(root: Path = ROOT) -> dict[str, Any]:
    """Version of the control groups, and the tightest limit on the way from the own group to the root.

    cpus: processor time as a number of processors. None stands for no limit, and for what cannot be read.
    """
    version = read_version(root)
    read = {2: _read_new, 1: _read_old}.get(version or 0)
    limits = read(root) if read else {"cpus": None, "memory_bytes": None, "cpuset": None}
    return {"cgroup": version, **limits}


def read_free_memory(root: Path = ROOT) -> int | None:
    """Bytes that a new process can take without swapping: of the machine, and of every group on the way to the root.

    Cache that the system gives back counts as free. None where nothing can be read.
    """
    own = {2: _read_new_rooms, 1: _read_old_rooms}.get(read_version(root) or 0)
    rooms = [parse_kilobytes(read_text(root / "proc/meminfo"), "MemAvailable"), *(own(root) if own else ())]
    return min((room for room in rooms if room is not None), default=None)


def usable_memory(root: Path = ROOT) -> int | None:
    """The part of the free memory that one process may fill, which leaves the system some to work with."""
    free = read_free_memory(root)
    return None if free is None else int(USABLE * free)


def read_version(root: Path = ROOT) -> int | None:
    """Version of the control groups that hold the limits; None where there are none."""
    if (root / _GROUPS / "cgroup.controllers").exists():
        return 2
    return 1 if any((root / _GROUPS / name).is_dir() for name in ("cpu", "memory", "cpuset")) else None


def parse_group(text: str | None, controller: str) -> str:
    """Path of a controller's group in /proc/self/cgroup; an empty controller stands for version 2."""
    for line in (text or "").splitlines():
        _, names, path = [*line.split(":", 2), "", ""][:3]
        if controller in names.split(",") and path:
            return path
    return "/"


def parse_quota(text: str | None) -> float | None:
    """Processors of a line `quota period` in µs, of which `max` and a negative quota set no limit."""
    quota, period = ([parse_number(word) for word in (text or "").split()] + [None, None])[:2]
    return quota / period if quota is not None and period and quota > 0 else None


def parse_throttling(text: str | None) -> tuple[int, int] | None:
    """Periods in all, and those in which the group was stopped, from cpu.stat."""
    pairs = dict(line.split(None, 1) for line in (text or "").splitlines() if len(line.split()) == 2)
    periods, throttled = parse_number(pairs.get("nr_periods")), parse_number(pairs.get("nr_throttled"))
    return None if periods is None or throttled is None else (periods, throttled)


def read_throttling(root: Path = ROOT) -> tuple[int, int] | None:
    """Periods, and stopped periods, of the nearest group that counts them; None where none does."""
    controller = "" if read_version(root) == 2 else "cpu"
    texts = (read_text(folder / "cpu.stat") for folder in _groups(root, controller))
    return next((found for text in texts if (found := parse_throttling(text))), None)


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """Folders from the own group up to the root; inside a container those above its own are not there."""
    top = root / _GROUPS / controller
    path = parse_group(read_text(root / "proc/self/cgroup"), controller).strip("/")
    own = top / path if path else top
    while own != top:
        yield own
        own = own.parent
    yield top


def _read_new(root: Path) -> dict[str, Any]:
    folders = list(_groups(root, ""))
    sets = (read_text(folder / "cpuset.cpus.effective") for folder in folders)
    return {
        "cpus": _least(parse_quota(read_text(folder / "cpu.max")) for folder in folders),
        "memory_bytes": _least(parse_number(read_text(folder / "memory.max")) for folder in folders),
        "cpuset": next((text for text in sets if text), None),
    }


def _read_old(root: Path) -> dict[str, Any]:
    quotas = (
        parse_quota(f"{read_text(folder / 'cpu.cfs_quota_us')} {read_text(folder / 'cpu.cfs_period_us')}")
        for folder in _groups(root, "cpu")
    )
    sizes = (parse_number(read_text(folder / "memory.limit_in_bytes")) for folder in _groups(root, "memory"))
    sets = (read_text(folder / "cpuset.cpus") for folder in _groups(root, "cpuset"))
    return {
        "cpus": _least(quotas),
        "memory_bytes": _least(size for size in sizes if size is not None and size < NO_LIMIT),
        "cpuset": next((text for text in sets if text), None),
    }


def _read_new_rooms(root: Path) -> list[int | None]:
    names = ("memory.max", "memory.current", "inactive_file")
    return [_room(folder, *names) for folder in _groups(root, "")]


def _read_old_rooms(root: Path) -> list[int | None]:
    names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
    return [_room(folder, *names) for folder in _groups(root, "memory")]


def _room(folder: Path, most: str, used: str, cache: str) -> int | None:
    """What is left of a group's limit, and what of it is cache; None where it has no limit."""
    limit, usage = (parse_number(read_text(folder / name)) for name in (most, used))
    if limit is None or usage is None or limit >= NO_LIMIT:
        return None
    counted = dict(line.split(None, 1) for line in (read_text(folder / "memory.stat") or "").splitlines())
    return max(0, limit - usage + (parse_number(counted.get(cache)) or 0))


def _least(values: Iterator[Any]) -> Any:
    return min((value for value in values if value is not None), default=None)
