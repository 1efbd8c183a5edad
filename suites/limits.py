"""Suite `limits`: every operator, each of its arrays in turn beyond what 32 bits can address.

Two limits: 2^31 elements, which take float16 or bfloat16 (and go past 2^32 bytes as well), and 2^32 bytes, which
float32 reaches at 2^30 elements and int64 indices at 2^29. Work per element is small: kernels of one to nine taps, few
channels on one side. Large by many images, by one map, or by channels.
"""

from __future__ import annotations

from collections.abc import Callable

from harness import Law, NamedProblem, Suite, hookimpl, parse_line
from suites.laws.limits import agrees_beyond_limits

MANY, FEW, LONE = 134_700_001, 16, 138_000_001  # channels; times 16, and times 16 positions, they pass 2^31
IMAGES, SQUARE = "1031x8x511x513", "46351x46349"  # of 2.2e9 elements; sides of one map
LINES = {
    # more than 2^31 elements
    "conv/x": f"conv x={IMAGES} w=1x8x1x1 stride=2 dtype=bfloat16",
    "conv/w": f"conv x=1x{FEW}x1x2 w={MANY}x{FEW}x1x1 bias dtype=float16",
    "conv/y": "conv x=1031x1x512x513 w=8x1x2x1 dtype=bfloat16",
    "conv_transpose/x": f"conv_transpose x={IMAGES} w=8x1x2x1 dtype=bfloat16",
    "conv_transpose/w": f"conv_transpose x=1x{FEW}x1x2 w={FEW}x{MANY}x1x1 dtype=float16",
    "conv_transpose/y": "conv_transpose x=1031x1x257x256 w=1x8x2x2 stride=2 dtype=bfloat16",
    "conv_input_grad/dy": "conv_input_grad x=1031x1x512x513 w=8x1x2x1 dtype=bfloat16",
    "conv_input_grad/w": f"conv_input_grad x=1x{MANY}x1x2 w={FEW}x{MANY}x1x1 dtype=float16",
    "conv_input_grad/dx": f"conv_input_grad x={IMAGES} w=1x8x2x1 dtype=bfloat16",
    "conv_weight_grad/dy": f"conv_weight_grad x=2x1x1x9 w={LONE}x1x1x2 dtype=float16",
    "conv_weight_grad/x": f"conv_weight_grad x=2x{LONE}x1x8 w=1x{LONE}x1x2 dtype=float16",
    "conv_weight_grad/dw": f"conv_weight_grad x=1x{FEW}x1x2 w={MANY}x{FEW}x1x1 dtype=bfloat16",
    "conv_bias_grad/dy": "conv_bias_grad x=13x1x79 w=2097169x1x1 dtype=float16",
    "max_pool/x": f"max_pool x=1x1x{SQUARE} kernel=4x4 stride=4 dtype=float16",
    "max_pool/y": f"max_pool x={IMAGES} kernel=2x1 stride=1 dtype=float16",
    "max_pool_grad/x": "max_pool_grad x=521x17x500x487 kernel=4x4 stride=4 dtype=float16",
    "max_pool_grad/dy": f"max_pool_grad x={IMAGES} kernel=2x1 stride=1 dtype=float16",
    "avg_pool/x": "avg_pool x=521x17x500x487 kernel=4x4 stride=4 dtype=bfloat16",
    "avg_pool/y": "avg_pool x=2x120000007x2x2 kernel=2x2 stride=1 pad=1 dtype=bfloat16",
    "avg_pool_grad/dy": "avg_pool_grad x=2x120000007x2x2 kernel=2x2 stride=1 pad=1 dtype=bfloat16",
    "avg_pool_grad/dx": f"avg_pool_grad x=1x1x{SQUARE} kernel=4x4 stride=4 dtype=float16",
    # more than 2^32 bytes
    "conv/x-bytes": "conv x=521x8x511x513 w=1x8x1x1 stride=2 dtype=float32 layout=channels-last",
    "conv/w-bytes": "conv x=2x32771x1x3 w=32773x32771x1x1 dtype=float32",
    "conv/y-bytes": "conv x=521x1x511x513 w=8x1x3x3 bias pad=1 dtype=float32",
    "conv_transpose/y-bytes": "conv_transpose x=521x1x257x256 w=1x8x2x2 stride=2 dtype=float32 layout=channels-last",
    "conv_input_grad/dx-bytes": "conv_input_grad x=521x8x511x513 w=1x8x3x3 pad=1 dtype=float32",
    "conv_weight_grad/sum-bytes": "conv_weight_grad x=1x1x32771x32773 w=1x1x1x2 dtype=float32",
    "conv_bias_grad/sum-bytes": "conv_bias_grad x=1x1x32771x32773 w=1x1x1x1 dtype=float32",
    "max_pool/x-bytes": "max_pool x=67x31x721x719 kernel=4x4 stride=4 dtype=float32 layout=channels-last",
    "max_pool/indices-bytes": "max_pool x=23x47x711x703 kernel=2x2 stride=1 dtype=float16",
    "max_pool_grad/indices-bytes": "max_pool_grad x=23x47x711x703 kernel=2x2 stride=1 dtype=float16",
    "max_pool_grad/x-bytes": "max_pool_grad x=67x31x721x719 kernel=3x3 stride=3 dtype=float32",
    "avg_pool/x-bytes": "avg_pool x=67x31x721x719 kernel=2x2 stride=2 dtype=float32 layout=channels-last",
    "avg_pool_grad/dx-bytes": "avg_pool_grad x=67x31x721x719 kernel=2x2 stride=2 dtype=float32",
}


def limit_problems() -> tuple[NamedProblem, ...]:
    """One problem for every operator, array and limit."""
    return tuple(
        NamedProblem(name=f"limits/{name}", problem=parse_line(f"{line} data=integer")) for name, line in LINES.items()
    )


@hookimpl
def register_suites(register: Callable[[Suite | Law], None]) -> None:
    """Register the law of addresses and its suite."""
    register(agrees_beyond_limits)
    register(
        Suite(
            name="limits",
            kind="correctness",
            description="arrays of more than 2^31 elements and 2^32 bytes, one cell at a time in all free memory",
            problems=limit_problems,
            laws=(agrees_beyond_limits.name,),
            budget_s=120.0,
            time_limit_s=900.0,
            fills_memory=True,
        )
    )
