"""A law as a plugin: python -m harness run ones --plugin ./examples/law.py --backend im2col"""

import numpy as np

from harness import NamedProblem, Operator, Suite, compare_arrays, hookimpl, law, parse_line
from harness.laws import magnitude, rounding_bound, sum_bound
from harness.problems import make_arrays, pad_or_crop, view_windows


@law(tolerance="bound", when=lambda p: p.operator is Operator.conv and p.data == "normal" and p.window.groups == 1)
def ones_sum_the_window(subject, problem):
    """w = 1, b = 0  =>  y[n,o,i] = sum over c, u of x~[n, c, s i + d u]"""
    problem = problem.with_(bias=False)
    arrays = make_arrays(problem)  # by name, in the problem's dtype and layout
    arrays["w"] = np.ones_like(arrays["w"])
    got = subject.run(problem, arrays)["y"]

    cover = problem.window.cover(problem.x[2:], problem.kernel)
    padded = pad_or_crop(arrays["x"].astype(np.float64), cover, 0.0, np)
    windows = view_windows(padded, problem.y[2:], problem.kernel, problem.window)  # n c *k *p
    sums = windows.sum(axis=tuple(range(1, 2 + problem.axes)))  # n *p
    wanted = np.broadcast_to(sums[:, None], problem.y)  # n o *p

    numerics = subject.numerics(problem)  # what the backend declares: it decides which bound applies
    bound = sum_bound(problem, numerics, arrays, magnitude(problem, arrays)) + rounding_bound(problem, wanted)
    return compare_arrays(got, wanted, bound, what="y", kind="norm" if numerics.normwise else "bound")


def list_problems():
    """Two problems; any suite may ask the law on its own ones."""
    lines = ("conv x=2x3x9x9 w=4x3x3x3 stride=2 pad=1", "conv x=1x8x31 w=2x8x5 dilation=2 dtype=float16")
    return tuple(NamedProblem(name=f"ones/{number}", problem=parse_line(line)) for number, line in enumerate(lines))


@hookimpl
def register_suites(register):
    register(ones_sum_the_window)
    register(
        Suite(
            name="ones",
            kind="correctness",
            description="kernels of ones",
            problems=list_problems,
            laws=("ones-sum-the-window",),
        )
    )
