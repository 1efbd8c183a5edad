"""Well-known kernels (specification, section 7) over a real photograph: one law for each, and its pictures.

Kernels slide as correlations, as the specification writes them; only emboss and a turned backend tell the difference.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from harness import (
    Attachments,
    BackendUnderTest,
    Deviation,
    Law,
    Operator,
    Picture,
    Problem,
    Window,
    compare_arrays,
    law,
    worst_of,
)
from harness.backend import UnsupportedError
from harness.laws import judge_output, magnitude, rounding_bound, sum_bound
from harness.problems import FORMATS, Array, Sizes, dtype_of, reference
from suites.laws.kernels import KERNELS, gaussian

PHOTOGRAPH = "china.jpg"  # 640x427, by scikit-learn
REDUCED = 4  # pixels of the photograph a side that become one
HEIGHT, WIDTH = 106, 159  # no multiples of what loops are unrolled by
COLOURS = 3
SIGMA_2D, SIGMA_1D = 1.0, 1.5

GALLERY: dict[str, tuple[str, Callable[[], Array]]] = {
    "identity": ("y = x; Σw = 1 keeps mean(y) = mean(x)", KERNELS["identity"][1]),
    "sharpen": ("y = 9 x - (the eight neighbours of x); Σw = 1 keeps mean(y) = mean(x)", KERNELS["sharpen"][1]),
    "emboss": ("y = [-1 -1 0; -1 0 1; 0 1 1] ⋆ x; Σw = 0 leaves mean(y) = 0", KERNELS["emboss"][1]),
    "edges": (
        "y = (the four neighbours of x) - 4 x; Σw = 0 leaves mean(y) = 0",
        lambda: np.array([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]]),
    ),
    "mean-blur": ("y = 0.2 (x + its four neighbours); Σw = 1 keeps mean(y) = mean(x)", KERNELS["mean-blur"][1]),
    "gaussian-2d": (
        "y = (G Gᵀ) ⋆ x, 5x5 taps; Σw = 1 keeps mean(y) = mean(x)",
        lambda: np.outer(gaussian(2, SIGMA_2D), gaussian(2, SIGMA_2D)),
    ),
    "gaussian-1d": (
        "y = G ⋆ x along rows, 7 taps; Σw = 1 keeps mean(y) = mean(x)",
        lambda: gaussian(3, SIGMA_1D)[None, :],
    ),
    "brighten": ("y = 1.3 x; Σw = 1.3 brightens, mean(y) = 1.3 mean(x)", lambda: 1.3 * KERNELS["identity"][1]()),
    "darken": ("y = 0.7 x; Σw = 0.7 darkens, mean(y) = 0.7 mean(x)", lambda: 0.7 * KERNELS["identity"][1]()),
}


def make_problem(kernel: Sizes) -> Problem:
    """The narrow convolution that keeps the photograph's size over an input that was wrapped around beforehand.

    The three colours are a batch of one channel each. Its data are called uniform as they lie in 0 to 1, of one sign.
    """
    wrapped = tuple(n + m - 1 for n, m in zip((HEIGHT, WIDTH), kernel, strict=True))
    return Problem(operator=Operator.conv, x=(COLOURS, 1, *wrapped), w=(1, 1, *kernel), window=Window.of(2),
                   data="uniform")  # fmt: skip


def load_photograph() -> Array:
    """A temple under the sky, 3 1 h w in 0 to 1: the mean of 4x4 pixels for each. Raises UnsupportedError."""
    try:
        from sklearn.datasets import load_sample_image

        pixels = load_sample_image(PHOTOGRAPH)  # h w colour, 8 bits
    except ImportError:
        raise UnsupportedError(
            f"photograph {PHOTOGRAPH}: scikit-learn or Pillow is not installed, wanted both; "
            "pip install 'conv-harness[learn]'"
        ) from None
    blocks = pixels[: HEIGHT * REDUCED, : WIDTH * REDUCED].reshape(HEIGHT, REDUCED, WIDTH, REDUCED, COLOURS)
    return np.asarray(blocks.mean(axis=(1, 3)).transpose(2, 0, 1)[:, None] / 255)


def wrap_around(x: Array, kernel: Sizes) -> Array:
    """The image continued periodically by half a kernel on every side; kernels are odd."""
    rims = [((m - 1) // 2,) * 2 for m in kernel]
    return np.pad(x, [(0, 0), (0, 0), *rims], mode="wrap")


def _make_law(name: str, formula: str, kernel: Callable[[], Array]) -> Law:
    shape = kernel().shape

    def applies(problem: Problem) -> bool:
        """The gallery's own problem, in any dtype and layout."""
        plain = make_problem(shape)
        return problem == plain.with_(dtype=problem.dtype, layout=problem.layout, math=problem.math)

    def check(subject: BackendUnderTest, problem: Problem) -> Deviation:
        return _filter(subject, problem, kernel(), shows_photograph=name == "identity")

    check.__name__ = f"gallery_{name}"
    check.__doc__ = (
        f"{formula}\n\nOver a photograph that is continued periodically, element by element, and the mean of each "
        "colour. The kernel slides as it stands (correlation)."
    )
    return law(tolerance="bound", when=applies)(check)


def _filter(subject: BackendUnderTest, problem: Problem, kernel: Array, shows_photograph: bool) -> Deviation:
    """y and its brightness against the float64 reference, with both pictures."""
    dtype, numerics = dtype_of(problem.dtype), subject.numerics()
    photograph = load_photograph().astype(dtype)
    arrays = {"x": wrap_around(photograph, kernel.shape), "w": kernel[None, None].astype(dtype)}
    wanted = reference.compute(problem, arrays)["y"]
    got = subject.run(problem, arrays)["y"]
    found = judge_output(problem, numerics, arrays, got, wanted, what="y")
    bound = sum_bound(problem, numerics, arrays, magnitude(problem, arrays)) + rounding_bound(problem, wanted)
    brightness = compare_brightness(got, photograph, arrays["w"], bound)
    pictures = {"photograph": paint(photograph)} if shows_photograph else {}
    error = np.abs(got.astype(np.float64) - wanted)
    figures = {
        "sum of the kernel": float(kernel.sum()),
        "brightness wanted": float(_brightness(photograph, arrays["w"]).mean()),
        "brightness got": float(got.astype(np.float64).mean()),
        "largest difference": float(error.max()), "largest difference in units of its bound": found.worst,
    }  # fmt: skip
    attachments = Attachments(
        figures=figures, matrices={"kernel": tuple(map(tuple, kernel.tolist()))},
        pictures=pictures | {"result": paint(got), "difference": paint_difference(error)},
    )  # fmt: skip
    return replace(worst_of(found, brightness), attachments=attachments)


def compare_brightness(got: Array, photograph: Array, w: Array, bound: Array) -> Deviation:
    """Compare the mean of each colour of y (3 1 h w) with Σw mean(x), within the mean of its bounds.

    got: y. photograph: x. w: kernel. bound: of each element of y.
    Means and sums round in float64 themselves, each by fewer than 32 units.
    """
    sizes = np.abs(w.astype(np.float64)).sum() * np.abs(photograph.astype(np.float64)).mean(axis=(1, 2, 3))
    allowed = np.broadcast_to(bound, got.shape).mean(axis=(1, 2, 3)) + 64 * FORMATS["float64"].u * sizes
    means = got.astype(np.float64).mean(axis=(1, 2, 3))
    return compare_arrays(means, _brightness(photograph, w), allowed, what="mean of y", kind="bound")


def _brightness(photograph: Array, w: Array) -> Array:
    """Σw mean(x) of each colour."""
    return np.asarray(w.astype(np.float64).sum() * photograph.astype(np.float64).mean(axis=(1, 2, 3)))


def paint(y: Array) -> Picture:
    """Colours 3 1 h w as a picture: values below 0 and NaN are black, values above 1 as bright as possible."""
    shown = np.clip(np.nan_to_num(y.astype(np.float64), nan=0.0), 0, 1)[:, 0].transpose(1, 2, 0)
    pixels = np.rint(255 * shown).astype(np.uint8)
    return Picture(shape=pixels.shape, pixels=pixels.tobytes())


def paint_difference(error: Array) -> Picture:
    """The largest error of the three colours (3 1 h w), white at its maximum; NaN and infinity are white."""
    error = error.max(axis=(0, 1))
    largest = float(np.max(error, initial=0.0, where=np.isfinite(error)))
    shown = np.where(np.isfinite(error), error / (largest or 1.0), 1.0)
    pixels = np.rint(255 * shown).astype(np.uint8)
    return Picture(shape=pixels.shape, pixels=pixels.tobytes())


LAWS = tuple(_make_law(name, formula, kernel) for name, (formula, kernel) in GALLERY.items())
