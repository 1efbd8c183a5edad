"""The machine as described by /proc and /sys: parsers of their texts, and functions that read them.

None stands for a value that cannot be read. `root` is the folder that contains /proc and /sys.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path("/")
_CPU = "sys/devices/system/cpu"
_UNITS = {"K": 2**10, "M": 2**20, "G": 2**30}


def describe_machine(root: Path = ROOT) -> dict[str, Any]:
    """Describe processors, caches, frequency, turbo, virtualisation, swap and kernel settings that affect timing."""
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
    """Read a file and strip surrounding white space; None if it is missing, unreadable or empty."""
    try:
        return path.read_text(errors="replace").strip() or None
    except OSError:
        return None


def parse_number(text: str | None) -> int | None:
    """Parse an integer; None for any other text."""
    try:
        return int(text) if text is not None else None
    except ValueError:
        return None


def parse_choice(text: str | None) -> str | None:
    """Parse the selected word of a line such as `always [madvise] never`."""
    chosen = [word.strip("[]") for word in (text or "").split() if word.startswith("[")]
    return chosen[0] if len(chosen) == 1 else None


def parse_size(text: str | None) -> int | None:
    """Parse a size such as 32768K into bytes."""
    if text is None:
        return None
    number = parse_number(text.rstrip("KMG"))
    return number if number is None else number * _UNITS.get(text[-1], 1)


def parse_list(text: str | None) -> tuple[int, ...]:
    """Parse a list of processors such as 0-3,8; empty if the text is no such list."""
    found: list[int] = []
    for part in (text or "").split(","):
        first, _, last = part.strip().partition("-")
        low, high = parse_number(first), parse_number(last or first)
        if low is None or high is None:
            return ()
        found += range(low, high + 1)
    return tuple(found)


def parse_cpu_model(cpuinfo: str | None) -> str | None:
    """Parse the first model name in /proc/cpuinfo."""
    return next(iter(_fields(cpuinfo, "model name")), None)


def parse_mhz(cpuinfo: str | None) -> tuple[float, ...]:
    """Parse the frequency of each processor in /proc/cpuinfo, in MHz."""
    try:
        return tuple(float(value) for value in _fields(cpuinfo, "cpu MHz"))
    except ValueError:
        return ()


def parse_hypervisor(cpuinfo: str | None) -> bool | None:
    """Return True if the processor's flags include `hypervisor`; None if there are no flags, as on ARM."""
    flags = _fields(cpuinfo, "flags")
    return "hypervisor" in flags[0].split() if flags else None


def parse_flags(cpuinfo: str | None) -> frozenset[str] | None:
    """Parse the processor's flags, such as avx2; None if there are none, as outside Linux."""
    flags = _fields(cpuinfo, "flags") or _fields(cpuinfo, "Features")
    return frozenset(flags[0].split()) if flags else None


def read_flags(root: Path = ROOT) -> frozenset[str] | None:
    """Return the flags of this machine's processor; None if they cannot be read."""
    return parse_flags(read_text(root / "proc/cpuinfo"))


def parse_swap(meminfo: str | None) -> dict[str, int] | None:
    """Parse total and used bytes of swap in /proc/meminfo."""
    total, free = (parse_kilobytes(meminfo, name) for name in ("SwapTotal", "SwapFree"))
    return None if total is None or free is None else {"total_bytes": total, "used_bytes": total - free}


def parse_kilobytes(meminfo: str | None, name: str) -> int | None:
    """Parse a line such as `MemFree: 12 kB` of /proc/meminfo into bytes; None without such a line."""
    found = _fields(meminfo, name)
    number = parse_number(found[0].split()[0]) if found and found[0] else None
    return number if number is None else number * 1024


def _fields(text: str | None, name: str) -> list[str]:
    """Values of the lines `name : value`."""
    parts = [line.partition(":") for line in (text or "").splitlines()]
    return [value.strip() for key, _, value in parts if key.strip() == name]


def count_processors(siblings: Mapping[int, str], packages: Mapping[int, str]) -> dict[str, int] | None:
    """Count sockets, cores and threads per core, from each processor's siblings and its socket."""
    cores = {parse_list(text) for text in siblings.values()} - {()}
    if not cores:
        return None
    return {
        "sockets": len(set(packages.values())) or 1,
        "cores": len(cores),
        "threads_per_core": max(map(len, cores)),
    }


def read_siblings(root: Path = ROOT) -> dict[int, str]:
    """Return, for each online processor, the list of processors that share its core, such as `0,4`."""
    return _read_topology(root, "thread_siblings_list")


def read_processors(root: Path = ROOT) -> dict[str, int] | None:
    """Return the number of sockets, cores and threads per core, over the online processors."""
    return count_processors(read_siblings(root), _read_topology(root, "physical_package_id"))


def _read_topology(root: Path, name: str) -> dict[int, str]:
    folders = (root / _CPU).glob("cpu[0-9]*")
    texts = {int(folder.name[3:]): read_text(folder / "topology" / name) for folder in folders}
    return {number: text for number, text in sorted(texts.items()) if text is not None}


def read_caches(root: Path = ROOT) -> list[dict[str, Any]]:
    """Return level, type and bytes of each cache of the first processor, and the number of processors that share it."""
    found = []
    for folder in (root / _CPU / "cpu0/cache").glob("index*"):
        level, size = parse_number(read_text(folder / "level")), parse_size(read_text(folder / "size"))
        if level is not None and size is not None:
            shared = len(parse_list(read_text(folder / "shared_cpu_list"))) or None
            kind = (read_text(folder / "type") or "unknown").lower()
            found.append({"level": level, "type": kind, "bytes": size, "shared_by": shared})
    return sorted(found, key=lambda one: (one["level"], one["type"]))


def read_frequency(root: Path = ROOT) -> dict[str, Any]:
    """Return the frequency range in MHz, the driver, the governor, and True for `turbo` if turbo is on."""
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
    """Read Intel's `no_turbo`, else `boost` of the other drivers, global or for each policy."""
    off = read_text(root / _CPU / "intel_pstate/no_turbo")
    if off is not None:
        return off == "0"
    places = [root / _CPU / "cpufreq/boost", *(root / _CPU).glob("cpufreq/policy*/boost")]
    states = {read_text(path) for path in places} - {None}
    return "1" in states if states else None


def read_mhz(root: Path = ROOT) -> tuple[float, ...]:
    """Return the current frequencies of the processors in MHz; empty if they cannot be read."""
    paths = sorted((root / _CPU).glob("cpu[0-9]*/cpufreq/scaling_cur_freq"))
    kilohertz = [number for path in paths if (number := parse_number(read_text(path))) is not None]
    return tuple(one / 1000 for one in kilohertz) or parse_mhz(read_text(root / "proc/cpuinfo"))


def read_virtual(root: Path = ROOT) -> bool | None:
    """Return True on a virtual machine; None if it is unknown."""
    if read_text(root / "sys/hypervisor/type") is not None:
        return True
    return parse_hypervisor(read_text(root / "proc/cpuinfo"))
