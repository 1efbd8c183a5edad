"""The machine as /proc and /sys tell it: parsing functions on text, and the reading.

None stands for what cannot be read here. `root` is the folder that /proc and /sys lie in.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path("/")
_CPU = "sys/devices/system/cpu"
_UNITS = {"K": 2**10, "M": 2**20, "G": 2**30}


def describe_machine(root: Path = ROOT) -> dict[str, Any]:
    """Processors, caches, frequency, turbo, virtual machine, swap and the kernel's settings that move times."""
    return {
        "processors": read_processors(root),
        "caches": read_caches(root),
        "frequency": read_frequency(root),
        "virtual": read_virtual(root),
        "swap": parse_swap(read_text(root / "proc/meminfo")),
        "hugepages": parse_choice(read_text(root / "sys/kernel/mm/transparent_hugepage/enabled")),
        "aslr": parse_number(read_text(root / "proc/sys/kernel/randomize_va_space")),
        "clocksource": read_text(root / "sys/devices/system/clocksource/clocksource0/current_clocksource"),
    }


def read_text(path: Path) -> str | None:
    """A file's text without the white space at its ends; None where it is absent, forbidden or empty."""
    try:
        return path.read_text(errors="replace").strip() or None
    except OSError:
        return None


def parse_number(text: str | None) -> int | None:
    """An integer, or None where the text is something else."""
    try:
        return int(text) if text is not None else None
    except ValueError:
        return None


def parse_choice(text: str | None) -> str | None:
    """The chosen word of a line such as `always [madvise] never`."""
    chosen = [word.strip("[]") for word in (text or "").split() if word.startswith("[")]
    return chosen[0] if len(chosen) == 1 else None


def parse_size(text: str | None) -> int | None:
    """Bytes of a size such as 32768K."""
    if text is None:
        return None
    number = parse_number(text.rstrip("KMG"))
    return number if number is None else number * _UNITS.get(text[-1], 1)


def parse_list(text: str | None) -> tuple[int, ...]:
    """Processor numbers of a list such as 0-3,8; empty where it is not one."""
    found: list[int] = []
    for part in (text or "").split(","):
        first, _, last = part.strip().partition("-")
        low, high = parse_number(first), parse_number(last or first)
        if low is None or high is None:
            return ()
        found += range(low, high + 1)
    return tuple(found)


def parse_cpu_model(cpuinfo: str | None) -> str | None:
    """The first model name in /proc/cpuinfo."""
    return next(iter(_fields(cpuinfo, "model name")), None)


def parse_mhz(cpuinfo: str | None) -> tuple[float, ...]:
    """Frequencies in /proc/cpuinfo, one for each processor, in MHz."""
    try:
        return tuple(float(value) for value in _fields(cpuinfo, "cpu MHz"))
    except ValueError:
        return ()


def parse_hypervisor(cpuinfo: str | None) -> bool | None:
    """Whether the processor's flags name a hypervisor; None where it lists no flags, as on ARM."""
    flags = _fields(cpuinfo, "flags")
    return "hypervisor" in flags[0].split() if flags else None


def parse_flags(cpuinfo: str | None) -> frozenset[str] | None:
    """Flags of the processor, such as avx2; None where it lists none, as outside Linux."""
    flags = _fields(cpuinfo, "flags") or _fields(cpuinfo, "Features")
    return frozenset(flags[0].split()) if flags else None


def read_flags(root: Path = ROOT) -> frozenset[str] | None:
    """Flags of this processor; None where they cannot be read."""
    return parse_flags(read_text(root / "proc/cpuinfo"))


def parse_swap(meminfo: str | None) -> dict[str, int] | None:
    """Bytes of swap, in all and in use, from /proc/meminfo."""
    total, free = (parse_kilobytes(meminfo, name) for name in ("SwapTotal", "SwapFree"))
    return None if total is None or free is None else {"total_bytes": total, "used_bytes": total - free}


def parse_kilobytes(meminfo: str | None, name: str) -> int | None:
    """Bytes of a line such as `MemFree: 12 kB` of /proc/meminfo; None where there is none."""
    found = _fields(meminfo, name)
    number = parse_number(found[0].split()[0]) if found and found[0] else None
    return number if number is None else number * 1024


def _fields(text: str | None, name: str) -> list[str]:
    """Values of the lines `name : value`."""
    parts = [line.partition(":") for line in (text or "").splitlines()]
    return [value.strip() for key, _, value in parts if key.strip() == name]


def count_processors(siblings: Mapping[int, str], packages: Mapping[int, str]) -> dict[str, int] | None:
    """Sockets, cores and threads per core from each processor's list of siblings and its socket."""
    cores = {parse_list(text) for text in siblings.values()} - {()}
    if not cores:
        return None
    return {
        "sockets": len(set(packages.values())) or 1,
        "cores": len(cores),
        "threads_per_core": max(map(len, cores)),
    }


def read_siblings(root: Path = ROOT) -> dict[int, str]:
    """For each processor that is switched on, the list of processors that share its core, such as `0,4`."""
    return _read_topology(root, "thread_siblings_list")


def read_processors(root: Path = ROOT) -> dict[str, int] | None:
    """Sockets, cores and threads per core, of the processors that are switched on."""
    return count_processors(read_siblings(root), _read_topology(root, "physical_package_id"))


def _read_topology(root: Path, name: str) -> dict[int, str]:
    folders = (root / _CPU).glob("cpu[0-9]*")
    texts = {int(folder.name[3:]): read_text(folder / "topology" / name) for folder in folders}
    return {number: text for number, text in sorted(texts.items()) if text is not None}


def read_caches(root: Path = ROOT) -> list[dict[str, Any]]:
    """Level, type and bytes of each cache of the first processor, and how many processors share it."""
    found = []
    for folder in (root / _CPU / "cpu0/cache").glob("index*"):
        level, size = parse_number(read_text(folder / "level")), parse_size(read_text(folder / "size"))
        if level is not None and size is not None:
            shared = len(parse_list(read_text(folder / "shared_cpu_list"))) or None
            kind = (read_text(folder / "type") or "unknown").lower()
            found.append({"level": level, "type": kind, "bytes": size, "shared_by": shared})
    return sorted(found, key=lambda one: (one["level"], one["type"]))


def read_frequency(root: Path = ROOT) -> dict[str, Any]:
    """Range in MHz, driver and governor of the frequency, and whether turbo is on."""
    first = root / _CPU / "cpu0/cpufreq"
    low, high = (parse_number(read_text(first / f"cpuinfo_{end}_freq")) for end in ("min", "max"))
    governors = {read_text(path) for path in (root / _CPU).glob("cpu[0-9]*/cpufreq/scaling_governor")} - {None}
    return {
        "min_mhz": None if low is None else low / 1000,
        "max_mhz": None if high is None else high / 1000,
        "driver": read_text(first / "scaling_driver"),
        "governor": ", ".join(sorted(map(str, governors))) or None,
        "turbo": _read_turbo(root),
    }


def _read_turbo(root: Path) -> bool | None:
    """Intel's driver says whether turbo is off, the others whether boost is on, for all or for each policy."""
    off = read_text(root / _CPU / "intel_pstate/no_turbo")
    if off is not None:
        return off == "0"
    places = [root / _CPU / "cpufreq/boost", *(root / _CPU).glob("cpufreq/policy*/boost")]
    states = {read_text(path) for path in places} - {None}
    return "1" in states if states else None


def read_mhz(root: Path = ROOT) -> tuple[float, ...]:
    """Frequencies of the processors at this moment in MHz; empty where they are not told."""
    paths = sorted((root / _CPU).glob("cpu[0-9]*/cpufreq/scaling_cur_freq"))
    kilohertz = [number for path in paths if (number := parse_number(read_text(path))) is not None]
    return tuple(one / 1000 for one in kilohertz) or parse_mhz(read_text(root / "proc/cpuinfo"))


def read_virtual(root: Path = ROOT) -> bool | None:
    """Whether this is a virtual machine; None where nothing tells."""
    if read_text(root / "sys/hypervisor/type") is not None:
        return True
    return parse_hypervisor(read_text(root / "proc/cpuinfo"))
