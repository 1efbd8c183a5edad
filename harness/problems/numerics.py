"""Number formats, and what a backend declares about its arithmetic."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, get_args

if TYPE_CHECKING:
    import numpy as np

Dtype = Literal["float64", "float32", "float16", "bfloat16"]
FormatName = Literal[Dtype, "tf32"]
Math = Literal["ieee", "tf32"]
Algorithm = Literal["direct", "gemm", "fft", "winograd"]
Tie = Literal["first", "last"]
Zero = Literal["first", "positive"]
DTYPES: tuple[Dtype, ...] = get_args(Dtype)
MATHS: tuple[Math, ...] = get_args(Math)
TILES = (2, 4, 6)  # of Winograd, for which an error bound is known


@dataclass(frozen=True, slots=True)
class Format:
    """A binary floating-point format: significand bits p (with the hidden one) and the smallest subnormal."""

    bits: int
    smallest: float

    @property
    def u(self) -> float:
        """Unit roundoff 2^-p."""
        return 2.0**-self.bits


FORMATS: dict[str, Format] = {
    "float64": Format(53, 2.0**-1074),
    "float32": Format(24, 2.0**-149),
    "float16": Format(11, 2.0**-24),
    "bfloat16": Format(8, 2.0**-133),
    "tf32": Format(11, 2.0**-136),
}


@cache
def dtype_of(name: Dtype) -> np.dtype[Any]:
    """NumPy dtype of a dtype name; bfloat16 comes from ml_dtypes."""
    import numpy as np

    if name == "bfloat16":
        import ml_dtypes

        bfloat16: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
        return bfloat16
    return np.dtype(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Numerics:
    """Declaration of a backend's arithmetic; it is tested, and determines the error bounds.

    algorithm: direct and gemm promise an error per element, fft and winograd only one per norm.
    tile: for winograd, the m of F(m, r), one of 2, 4 and 6: outputs per tile and axis; its error grows quickly with it.
    accumulator: dtype of the sums, per dtype of the data; a dtype that is absent accumulates in itself, and so does one
        for which a less precise format is declared, as no format of the data asks for that.
    output_roundings: number of times that a sum is rounded to the dtype of the output: once, or more if partial sums
    are
        stored in it.
    rounds_input_to: format to which inputs are rounded first ("tf32"), or None. Only problems with math=tf32 permit it,
        and nothing less precise than TF32.
    nan_local: a NaN in the input reaches only outputs whose window contains it.
    deterministic: equal calls on equal arrays return equal bits.
    reentrant: concurrent calls from several threads, on separate or shared arrays, return the same as each call alone.
        A prepared call is called by one thread at a time; several prepared calls may be called at once.
    ties: index of equal maxima of a window: the first or the last in row-major order, or any.
    nan_index: index of several NaN of a window, likewise.
    signed_zeros: sign of a maximum over -0 and +0: that of the first of them, or positive.
    keeps_subnormals: numbers below the smallest normal one are not flushed to zero.
    empty_batch, zero_channels: support of a batch without images (an empty output) and of an input without channels
    (the
        bias).
    Raises UsageError for other values.
    """

    algorithm: Algorithm = "direct"
    tile: int = 2
    accumulator: Mapping[Dtype, FormatName] = field(
        default_factory=lambda: {"float16": "float32", "bfloat16": "float32"}
    )
    output_roundings: int = 1
    rounds_input_to: FormatName | None = None
    nan_local: bool = True
    deterministic: bool = True
    reentrant: bool = True
    ties: Tie = "first"
    nan_index: Tie = "first"
    signed_zeros: Zero = "first"
    keeps_subnormals: bool = True
    empty_batch: bool = True
    zero_channels: bool = True

    def __post_init__(self) -> None:
        """Refuse a declaration that no law would read as it is meant."""
        from harness.problems.validation import check_number, check_one_of, check_type, refuse

        check_one_of("Numerics algorithm", self.algorithm, get_args(Algorithm))
        if type(self.tile) is not int or self.tile not in TILES:
            raise refuse("Numerics tile", self.tile, f"one of {', '.join(map(str, TILES))}")
        check_number(
            "Numerics output_roundings", self.output_roundings, "a whole number of at least 1", least=1, whole=True
        )
        if not isinstance(self.accumulator, Mapping):
            raise refuse("Numerics accumulator", self.accumulator, 'a dict by dtype, such as {"float16": "float32"}')
        for dtype, sums in self.accumulator.items():
            check_one_of("dtype in Numerics accumulator", dtype, FORMATS)
            check_one_of("dtype in Numerics accumulator", sums, FORMATS)
        if self.rounds_input_to is not None:
            check_one_of("format in Numerics rounds_input_to", self.rounds_input_to, FORMATS)
        for name, allowed in (
            ("ties", get_args(Tie)),
            ("nan_index", get_args(Tie)),
            ("signed_zeros", get_args(Zero)),
        ):
            check_one_of(f"Numerics {name}", getattr(self, name), allowed)
        for name in ("nan_local", "deterministic", "reentrant", "keeps_subnormals", "empty_batch", "zero_channels"):
            check_type(f"Numerics {name}", getattr(self, name), bool, "True or False")

    @property
    def normwise(self) -> bool:
        """True if only the norm of the error is bounded, not each element."""
        return self.algorithm in ("fft", "winograd")

    def sums_in(self, dtype: Dtype) -> Format:
        """Format of the accumulator for data of this dtype: as declared, but no less precise than the data."""
        return max(FORMATS[self.accumulator.get(dtype, dtype)], FORMATS[dtype], key=lambda one: one.bits)
