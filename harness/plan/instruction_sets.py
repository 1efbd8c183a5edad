"""Instruction sets as arms: the switches of libraries that choose code by processor, and the levels of each switch.

A level is used only if the processor supports it: ATen and OpenBLAS obey unchecked, and crash.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.backend.base import Backend
from harness.backend.switches import SWITCHES, SwitchName
from harness.errors import UsageError
from harness.plan.arm import Arm, write_settings

NONE, EVERY = "none", "all"


@dataclass(frozen=True, slots=True)
class Level:
    """A value of a switch, and the processor flags that it needs, named as in /proc/cpuinfo of Linux."""

    value: str
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Switch:
    """An environment variable that lowers the instruction set of one library, with its levels in ascending order.

    vendor: the only processor vendor for which the library obeys; "" if it always does.
    """

    variable: str
    levels: tuple[Level, ...]
    vendor: str = ""


_AVX2 = ("avx2", "fma")
_AVX512 = (*_AVX2, "avx512f", "avx512bw", "avx512dq", "avx512vl")
_VNNI = (*_AVX512, "avx512_vnni")
_BF16 = (*_VNNI, "avx512_bf16")
_AMX = (*_BF16, "amx_tile", "amx_int8", "amx_bf16")

# Without a setting, a library still uses instructions of the processor beyond the highest level here.
TABLE: dict[SwitchName, Switch] = {
    # https://uxlfoundation.github.io/oneDNN/dev_guide_cpu_dispatcher_control.html
    "onednn": Switch("ONEDNN_MAX_CPU_ISA", (
        Level("SSE41", ("sse4_1",)), Level("AVX", ("avx",)), Level("AVX2", _AVX2),
        Level("AVX2_VNNI", (*_AVX2, "avx_vnni")), Level("AVX512_CORE", _AVX512), Level("AVX512_CORE_VNNI", _VNNI),
        Level("AVX512_CORE_BF16", _BF16), Level("AVX512_CORE_FP16", (*_BF16, "avx512_fp16", "avx_vnni")),
        Level("AVX512_CORE_AMX", (*_AMX, "avx512_fp16", "avx_vnni")),
    )),
    # pytorch, aten/src/ATen/native/DispatchStub.cpp, compute_cpu_capability
    "aten": Switch("ATEN_CPU_CAPABILITY", (Level("default"), Level("avx2", _AVX2), Level("avx512", _AVX512))),
    # OpenBLAS, driver/others/dynamic.c and dynamic_arm64.c, force_coretype; a build may lack some of them
    "openblas": Switch("OPENBLAS_CORETYPE", (
        Level("ARMV8", ("asimd",)), Level("Prescott", ("pni",)), Level("Nehalem", ("sse4_2",)),
        Level("Sandybridge", ("avx",)), Level("Haswell", _AVX2), Level("Zen", _AVX2), Level("SkylakeX", _AVX512),
        Level("Cooperlake", _BF16), Level("SapphireRapids", _AMX),
    )),
    # https://www.intel.com/content/www/us/en/docs/onemkl/developer-guide-linux: "Instruction Set Specific Dispatching";
    # "not available on non-Intel processors"
    "mkl": Switch("MKL_ENABLE_INSTRUCTIONS", (
        Level("SSE4_2", ("sse4_2",)), Level("AVX", ("avx",)), Level("AVX2", _AVX2), Level("AVX512", _AVX512),
        Level("AVX512_E1", _VNNI), Level("AVX512_E3", _BF16), Level("AVX512_E4", _AMX),
    ), vendor="GenuineIntel"),
}  # fmt: skip
NUMPY = "NPY_DISABLE_CPU_FEATURES"  # https://numpy.org/doc/stable/reference/simd/build-options.html, "Runtime"
assert {*TABLE, "numpy"} == SWITCHES


@dataclass(frozen=True, slots=True)
class Processor:
    """Properties of the processor that determine the levels: flags, vendor, and what NumPy can disable on it.

    numpy: features beyond NumPy's baseline for which NumPy has code and which this processor supports, in NumPy's
        order.
    """

    flags: frozenset[str]
    vendor: str = ""
    numpy: tuple[str, ...] = ()


def read_processor(cpuinfo: str | None) -> Processor:
    """Parse the text of /proc/cpuinfo. Raises UsageError if it does not list instruction sets."""
    words: dict[str, str] = {}
    for line in (cpuinfo or "").splitlines():
        name, colon, value = line.partition(":")
        if colon:
            words.setdefault(name.strip(), value.strip())
    flags = frozenset(words.get("flags", words.get("Features", "")).split())
    if not flags:
        raise UsageError(
            "isa: this system does not say which instruction sets its processor has (/proc/cpuinfo), wanted Linux; "
            "name them yourself, as in --backend BACKEND@set:ONEDNN_MAX_CPU_ISA=AVX2"
        )
    return Processor(flags, words.get("vendor_id", ""), _numpy_features())


def open_numpy() -> Any:
    """Return the module of NumPy with its baseline, its features beyond that, and the processor's features."""
    return importlib.import_module("numpy._core._multiarray_umath")


def _numpy_features() -> tuple[str, ...]:
    """Return the features that can be disabled: NumPy does not start if one of its baseline is disabled."""
    numpy = open_numpy()
    return tuple(name for name in numpy.__cpu_dispatch__ if numpy.__cpu_features__.get(name))


def settings_of(switch: SwitchName, processor: Processor) -> list[tuple[str, str]]:
    """Return variable and value of every level of a switch that the processor supports, in ascending order."""
    if switch == "numpy":
        features = processor.numpy
        return [(NUMPY, ",".join(features[at:])) for at in range(len(features))]
    found = TABLE[switch]
    if found.vendor not in ("", processor.vendor):
        return []
    return [(found.variable, level.value) for level in found.levels if processor.flags.issuperset(level.needs)]


def choose_switches(wanted: Sequence[str]) -> frozenset[SwitchName]:
    """Return the switches for the values of `--isa`. Raises UsageError for unknown ones, and for `none` with others."""
    names = frozenset(wanted or (NONE,))
    known = {*SWITCHES, NONE, EVERY}
    if unknown := sorted(names - known):
        raise UsageError(f"isa: got '{unknown[0]}', wanted {EVERY}, {NONE} or one of {', '.join(sorted(SWITCHES))}")
    if len(names) > 1 and NONE in names:
        raise UsageError(f"isa: got '{NONE}' and {', '.join(sorted(names - {NONE}))}, wanted one or the other")
    return SWITCHES if EVERY in names else frozenset(name for name in SWITCHES if name in names)


def spread_arms(
    arms: Iterable[Arm], switches: frozenset[SwitchName], backend_of: Sequence[Backend], processor: Processor
) -> tuple[Arm, ...]:
    """Return every arm followed by one arm for each level of each switch that its backend declares.

    switches: names of the switches to use.
    backend_of: the backends of the arms, in their order.
    A variable that an arm sets itself is left unchanged.
    Raises UsageError if no backend declares any of the switches.
    """
    found: list[Arm] = []
    for arm, backend in zip(arms, backend_of, strict=True):
        found.append(arm)
        taken = {name for name, _ in arm.environment.settings}
        for switch in backend.instruction_sets:
            for setting in settings_of(switch, processor) if switch in switches else ():
                if setting[0] not in taken:
                    settings = (*arm.environment.settings, setting)
                    name = arm.name + write_settings((setting,))
                    environment = replace(arm.environment, settings=settings)
                    found.append(replace(arm, name=name, environment=environment, switch=switch))
    if not any(switches & frozenset(backend.instruction_sets) for backend in backend_of):
        names = ", ".join(dict.fromkeys(backend.name for backend in backend_of))
        raise UsageError(
            f"isa: {names} cannot be told by {', '.join(sorted(switches))} which instructions to use, wanted a backend "
            "that declares `instruction_sets`; see docs/plugins.md"
        )
    return tuple(found)
