"""Negative conformance: impossible calls must be refused, by an error that a caller can catch by its type."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from harness import BackendUnderTest, Deviation, HarnessError, Operator, Problem, Window, law, statement
from harness.backend import UnsupportedError, native_operators
from harness.problems import DeviceArrays, bind_operator, make_arrays

TYPED = (HarnessError, ValueError, TypeError, RuntimeError)  # an IndexError or a division by zero is an accident


class _Illegal:
    """The parts of a problem that `bind_operator` reads, unchecked, with an impossible window or output padding."""

    def __init__(self, problem: Problem, window: Window, output_padding: tuple[int, ...] | None = None) -> None:
        self.operator, self.x, self.w, self.window = problem.operator, problem.x, problem.w, window
        self.output_padding = problem.output_padding if output_padding is None else output_padding


def _last(values: tuple[Any, ...], value: Any) -> tuple[Any, ...]:
    return (*values[:-1], value)


def illegal_windows(problem: Problem) -> Iterator[tuple[str, Any]]:
    """Impossible variants of a problem with what is wrong with each (specification, section 2)."""
    window, kernel = problem.window, problem.kernel
    beyond = 2 + (problem.forward_spatial[-1] + sum(window.padding[-1])) // max(1, kernel[-1] - 1)
    changes: dict[str, Callable[[], Window]] = {
        "stride 0": lambda: replace(window, stride=_last(window.stride, 0)),
        "stride -1": lambda: replace(window, stride=_last(window.stride, -1)),
        "dilation 0": lambda: replace(window, dilation=_last(window.dilation, 0)),
        "padding -1 at the begin": lambda: replace(window, padding=_last(window.padding, (-1, window.padding[-1][1]))),
        "padding -1 at the end": lambda: replace(window, padding=_last(window.padding, (window.padding[-1][0], -1))),
        "a stride for one axis more": lambda: replace(window, stride=(*window.stride, 1)),
    }
    if kernel[-1] > 1 and problem.operator is not Operator.conv_transpose:
        changes["an effective kernel beyond the padded input"] = lambda: replace(
            window, dilation=_last(window.dilation, beyond)
        )
    if problem.operator.pools:
        assert window.kernel is not None
        pooled = window.kernel
        changes["kernel 0"] = lambda: replace(window, kernel=_last(pooled, 0))
    else:
        changes["groups 0"] = lambda: replace(window, groups=0)
        changes["groups that do not divide the channels"] = lambda: replace(window, groups=problem.x[1] + 1)
    for what, change in changes.items():
        yield what, _Illegal(problem, change())
    if problem.output_padding is not None:
        s = window.stride[-1] * window.dilation[-1] + window.stride[-1]
        yield "output padding beyond the stride", _Illegal(problem, window, _last(problem.output_padding, s))
        yield "output padding -1", _Illegal(problem, window, _last(problem.output_padding, -1))


def _asks_a_window(problem: Problem) -> bool:
    return problem.data == "integer" and not problem.flip and problem.operator is not Operator.conv_bias_grad


@law(tolerance="structure", when=_asks_a_window)
def illegal_windows_are_refused(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """stride < 1, dilation < 1, padding < 0, m' > n + b + e, groups that do not divide  =>  a typed error

    Asked of the backend's own method: a type by which it refuses, HarnessError, ValueError, TypeError or RuntimeError,
    never an answer.
    """
    if problem.operator not in native_operators(subject.backend):
        raise UnsupportedError(f"{problem.operator} is derived: the harness refuses before the backend is asked")
    arrays = make_arrays(problem)
    with subject.together():
        asked = [(what, illegal, subject.devices(problem, arrays)) for what, illegal in illegal_windows(problem)]
    wrong = []
    for what, illegal, devices in asked:
        answer = _ask(subject, illegal, devices)
        if answer:
            wrong.append(f"{what}: {answer}")
    return statement(not wrong, f"illegal windows: {'; '.join(wrong) or 'all refused'}")


def _ask(subject: BackendUnderTest, illegal: Any, devices: DeviceArrays) -> str:
    """Name the outcome that came instead of a typed error, or nothing."""
    try:
        result = bind_operator(subject.backend, illegal, devices)()
        subject.backend.synchronize()
    except TYPED:
        return ""
    except Exception as error:
        if subject.is_refusal(error):
            return ""
        return f"raised {type(error).__name__}, wanted ValueError or the like"
    shapes = [tuple(a.shape) for a in (result if isinstance(result, tuple) else (result,)) if hasattr(a, "shape")]
    return f"answered with shape {', '.join(map(str, shapes))}" if shapes else f"answered {type(result).__name__}"
