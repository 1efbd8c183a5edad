"""Plugin with speed suites for a device: few layers, hot and cold, and the formats that a processor lacks."""

from __future__ import annotations

from collections.abc import Callable

from harness import Law, NamedProblem, Suite, Timing, hookimpl, parse_line

LAYERS = {
    "resnet50-3x3": "x=32x64x56x56 w=64x64x3x3 pad=1",
    "resnet50-1x1": "x=32x256x56x56 w=64x256x1x1",
    "alexnet-conv1": "x=32x3x227x227 w=96x3x11x11 stride=4",
    "lenet5-conv1": "x=32x1x32x32 w=6x1x5x5",
}
GRADIENTS = ("conv_input_grad", "conv_weight_grad")
FORMATS = ("math=tf32", "dtype=float16", "dtype=bfloat16")
WIDE = ("resnet50-3x3", "resnet50-1x1")


def forwards() -> tuple[NamedProblem, ...]:
    """All layers forwards in float32."""
    return tuple(_named(f"{name}/conv", f"conv {line}") for name, line in LAYERS.items())


def gradients() -> tuple[NamedProblem, ...]:
    """Gradients of all layers in float32."""
    return tuple(_named(f"{name}/{one}", f"{one} {line}") for one in GRADIENTS for name, line in LAYERS.items())


def formats() -> tuple[NamedProblem, ...]:
    """The two large layers forwards in the formats of tensor cores."""
    return tuple(_named(f"{name}/{form}", f"conv {LAYERS[name]} {form}") for name in WIDE for form in FORMATS)


def _named(name: str, line: str) -> NamedProblem:
    return NamedProblem(name=name, problem=parse_line(line))


@hookimpl
def register_suites(register: Callable[[Suite | Law], None]) -> None:
    """Register the four suites, with one pass each, since drawing and verifying large arrays takes most of the time."""
    hot, cold = Timing(passes=1, sample_s=0.15), Timing(passes=1, sample_s=0.15, mode="cold")
    for name, problems, timing in (
        ("gpu-layers", forwards, hot), ("gpu-gradients", gradients, hot), ("gpu-formats", formats, hot),
        ("gpu-cold", forwards, cold),
    ):  # fmt: skip
        about = f"{problems.__doc__} Caches are {timing.mode}."
        register(Suite(name=name, kind="speed", description=about, problems=problems, timing=timing))
