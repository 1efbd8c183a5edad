"""Laws of memory: reads, writes and kept arrays of a backend, on layouts that are likely to break it."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from harness import BackendUnderTest, Deviation, GeometryError, Problem, law, statement, worst_of
from harness.laws import PreparedCall, make_check, same_bits
from harness.problems import Array, DeviceArray, device_options, find_namespace, make_arrays, reference

GARBAGE = -(2**31)  # what lies around whole numbers, where floating-point arrays have NaN around them
CALLS = 12


def _whole(problem: Problem) -> bool:
    return problem.data == "integer" and not problem.flip


@dataclass(slots=True)
class _Case:
    """A problem with its arrays and the answer that is wanted, computed once for all circumstances.

    check: compares an answer with the one that is wanted; made for the first.
    right: an answer that has passed, with its deviation; another with the same bits is not compared again.
    """

    problem: Problem
    arrays: Mapping[str, Array]
    wanted: Mapping[str, Array]
    check: Callable[[Mapping[str, Array]], Deviation] | None = None
    right: tuple[Mapping[str, Array], Deviation] | None = None


def _case(problem: Problem, arrays: Mapping[str, Array] | None = None) -> _Case:
    given = make_arrays(problem) if arrays is None else arrays
    return _Case(problem, given, reference.compute(problem, given))


def _own(subject: BackendUnderTest, case: _Case) -> dict[str, DeviceArray]:
    """Device arrays that share no memory with the case's own, so that they can be overwritten."""
    return subject.devices(case.problem, {name: a.copy(order="K") for name, a in case.arrays.items()})


Circumstances = tuple[_Case, PreparedCall, str]


def _judge_all(subject: BackendUnderTest, asked: Iterable[Circumstances]) -> list[Deviation]:
    """Make calls one after the other and compare each with the reference.

    asked: case, call, and the name of its circumstances. What a generator does before it yields a call is done before
        the call.
    """
    named: list[tuple[_Case, str]] = []

    def calls() -> Iterator[PreparedCall]:
        for case, call, how in asked:
            named.append((case, how))
            yield call

    answers = subject.answer_all(calls())
    return [_compare(subject, case, got, how) for (case, how), got in zip(named, answers, strict=True)]


def _judge(subject: BackendUnderTest, case: _Case, call: PreparedCall, how: str) -> Deviation:
    """Run a call and compare it with the reference; `how` names the circumstances."""
    return _compare(subject, case, call.answer(), how)


def _compare(subject: BackendUnderTest, case: _Case, got: Mapping[str, Array], how: str) -> Deviation:
    if case.right is not None and same_bits(case.right[0], got):
        return case.right[1]
    case.check = case.check or make_check(case.problem, subject.numerics(), case.arrays, case.wanted)
    found = case.check(got)
    if not found.passed:
        return _named(found, how)
    case.right = got, found
    return found


def _named(found: Deviation, how: str) -> Deviation:
    return replace(found, what=f"{found.what} {how}")


# --- views ---------------------------------------------------------------------------------------------------------


def _filled(like: DeviceArray, shape: tuple[int, ...]) -> DeviceArray:
    """A new array full of numbers that must not be read."""
    xp = find_namespace(like)
    floating = xp.isdtype(like.dtype, "real floating") if str(like.dtype) != "bfloat16" else True
    return xp.full(shape, float("nan") if floating else GARBAGE, dtype=like.dtype, **device_options(like))


def _permuted(a: DeviceArray, order: tuple[int, ...]) -> DeviceArray:
    """The same array, lying in memory in another order of its axes."""
    xp = find_namespace(a)
    base = _filled(a, tuple(a.shape[axis] for axis in order))
    base[...] = xp.permute_dims(a, order)
    return xp.permute_dims(base, tuple(order.index(axis) for axis in range(a.ndim)))


def _backwards(a: DeviceArray) -> DeviceArray:
    """The last axis runs from high addresses to low ones, which torch cannot express."""
    from array_api_compat import is_torch_array

    if is_torch_array(a) or getattr(a, "library", "") == "torch":
        return a
    base = _filled(a, tuple(a.shape))
    base[..., ::-1] = a
    return base[..., ::-1]


def _every_other(a: DeviceArray) -> DeviceArray:
    """Every second element of each row, NaN between."""
    base = _filled(a, (*a.shape[:-1], 2 * a.shape[-1]))
    base[..., ::2] = a
    return base[..., ::2]


def _some_channels(a: DeviceArray) -> DeviceArray:
    """The second half of the channels of a larger array; each channel is dense."""
    base = _filled(a, (a.shape[0], 2 * a.shape[1], *a.shape[2:]))
    base[:, a.shape[1] :] = a
    return base[:, a.shape[1] :]


def _every_other_channel(a: DeviceArray) -> DeviceArray:
    """Every second channel of a larger array, each of them dense, as a slice across further axes lies."""
    base = _filled(a, (a.shape[0], 2 * a.shape[1], *a.shape[2:]))
    base[:, 1::2] = a
    return base[:, 1::2]


def _some_channels_last(a: DeviceArray) -> DeviceArray:
    """Views of an array with channels last, strided as in `_some`."""
    xp, order = find_namespace(a), (0, *range(2, a.ndim), 1)
    base = _filled(a, (*(a.shape[axis] for axis in order[:-1]), 2 * a.shape[1]))
    base[..., a.shape[1] :] = xp.permute_dims(a, order)
    return xp.permute_dims(base[..., a.shape[1] :], tuple(order.index(axis) for axis in range(a.ndim)))


def _frame(a: DeviceArray) -> tuple[DeviceArray, DeviceArray]:
    """An array inside a larger one that is NaN all around it, and the larger one."""
    base = _filled(a, tuple(size + 2 for size in a.shape))
    inside = base[tuple(slice(1, size + 1) for size in a.shape)]
    inside[...] = a
    return inside, base


VIEWS: dict[str, Callable[[DeviceArray], DeviceArray]] = {
    "in Fortran order": lambda a: _permuted(a, tuple(reversed(range(a.ndim)))),
    "with channels last": lambda a: _permuted(a, (0, *range(2, a.ndim), 1)) if a.ndim > 2 else a,
    "with images last": lambda a: _permuted(a, (*range(1, a.ndim), 0)) if a.ndim > 2 else a,
    "backwards in memory": _backwards,
    "every other element": _every_other,
    "inside a frame of NaN": lambda a: _frame(a)[0],
    "as some of the channels": lambda a: _some_channels(a) if a.ndim > 2 else a,
    "as every other channel": lambda a: _every_other_channel(a) if a.ndim > 2 else a,
    "as some of the channels, which lie last": lambda a: _some_channels_last(a) if a.ndim > 2 else a,
}
ALONE = 2  # views that each array of a problem has alone; the problems of an operator share all of them out


@law(tolerance="exact", when=_whole)
def views_are_read_right(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """f(view of x) = f(x), however the view lies in memory

    Fortran order, channels last, images last, negative strides, every other element, inside a frame of NaN, and some
    of the channels of a larger array. First all arrays lie so, then one of them alone (cupy#10303, pytorch#192212), in
    two of these ways that follow from the problem line.
    """
    return worst_of(*_judge_all(subject, _view(subject, _case(problem))))


def _view(subject: BackendUnderTest, case: _Case) -> Iterator[Circumstances]:
    """Yield calls on views: of all arrays, then of each alone."""
    problem, devices = case.problem, subject.devices(case.problem, case.arrays)
    for how, view in VIEWS.items():
        yield case, subject.plain(problem, {name: view(a) for name, a in devices.items()}), how
    for name, how in _deal_views(problem, devices):
        yield case, subject.plain(problem, devices | {name: VIEWS[how](devices[name])}), f"with {name} alone {how}"


def _deal_views(problem: Problem, names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield for each array the views that it has alone in this problem."""
    first, ways = zlib.crc32(problem.line.encode()), tuple(VIEWS)
    for place, name in enumerate(names):
        yield from ((name, ways[(first + place + turn * 3) % len(ways)]) for turn in range(ALONE))


@law(tolerance="exact", when=lambda problem: _whole(problem) and problem.x[0] > 1)
def repeated_images_are_read_right(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """f(x) = f(dense copy of x), where all images of x are one image in memory (stride 0)

    Every array with a batch axis is spread from its first image.
    """
    batched = [name for name in problem.operator.inputs if name not in ("w", "b")]
    arrays = {
        name: np.repeat(a[:1], a.shape[0], axis=0) if name in batched else a for name, a in make_arrays(problem).items()
    }
    with subject.together():
        spread = {
            name: find_namespace(a).broadcast_to(a[:1], tuple(a.shape)) if name in batched else a
            for name, a in subject.devices(problem, arrays).items()
        }
        return _judge(subject, _case(problem, arrays), subject.plain(problem, spread), "of images spread with stride 0")


@law(tolerance="exact", when=lambda problem: _whole(problem) and "dy" in problem.operator.inputs)
def spread_gradients_are_read_right(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """f(dy) = f(dense copy of dy), where dy is one number in memory (all strides 0)

    The gradient of a sum comes so from automatic differentiation.
    """
    arrays = make_arrays(problem)
    arrays["dy"] = np.ones_like(arrays["dy"])
    with subject.together():
        devices = subject.devices(problem, arrays)
        dy = devices["dy"]
        if 0 not in dy.shape:
            devices["dy"] = find_namespace(dy).broadcast_to(dy[(slice(1),) * dy.ndim], tuple(dy.shape))
        return _judge(subject, _case(problem, arrays), subject.plain(problem, devices), "of one number with strides 0")


# --- what is written -----------------------------------------------------------------------------------------------


@law(tolerance="structure", when=_whole)
def inputs_stay(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """f(x) leaves x, and what lies around x in memory, as they were to the bit

    Plain methods on arrays inside frames of NaN, and the prepared call.
    """
    arrays = make_arrays(problem)
    with subject.together():
        framed = {name: _frame(a) for name, a in subject.devices(problem, arrays).items()}
        bases = {name: base for name, (_, base) in framed.items()}
        before = _bits(subject, bases)
        subject.plain(problem, {name: inside for name, (inside, _) in framed.items()}).run()
        after = _bits(subject, bases)
        changed = [name for name in bases if after[name] != before[name]]
        devices = subject.devices(problem, arrays)
        before = _bits(subject, devices)
        subject.prepare_devices(problem, devices).run()
        after = _bits(subject, devices)
    changed += [f"{name} (prepared)" for name in devices if after[name] != before[name]]
    return statement(not changed, f"inputs changed by the call: {', '.join(changed) or 'none'}")


def _bits(subject: BackendUnderTest, arrays: Mapping[str, DeviceArray]) -> dict[str, bytes]:
    """The bits of device arrays, in the order of their axes."""
    return {name: a.tobytes() for name, a in subject.to_hosts(arrays).items()}


@law(tolerance="exact", when=_whole)
def outputs_are_fresh(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """y = f(x) stays as it is when f is called again on other data, and when x is overwritten

    An output is neither a buffer of the backend, nor a view of an input, nor computed when it is looked at.
    """
    case = _case(problem)
    with subject.together():
        devices = _own(subject, case)
        call = subject.plain(problem, devices)
        result = call.run()
        other = problem.with_(seed=problem.seed + 1)
        subject.plain(other, subject.devices(other, make_arrays(other))).run()
        after_call = call.fetch(result)
        for a in devices.values():
            a[...] = _filled(a, tuple(a.shape))
        after_filling = call.fetch(result)
    return worst_of(
        _compare(subject, case, after_call, "after a second call"),
        _compare(subject, case, after_filling, "after its inputs were overwritten"),
    )


@law(tolerance="exact", when=_whole)
def memory_is_written_before_it_is_read(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """f(x) = f(x), with the allocator full of NaN

    Blocks of many sizes, those of the outputs among them, are filled with NaN and given back before each call.
    """
    return worst_of(*_judge_all(subject, _call_dirty(subject, _case(problem))))


def _call_dirty(subject: BackendUnderTest, case: _Case) -> Iterator[Circumstances]:
    """Yield the plain and the prepared call, after memory is filled."""
    call = subject.plain(case.problem, subject.devices(case.problem, case.arrays))
    prepared = subject.prepare(case.problem, case.arrays)
    for one, how in ((call, "with dirty memory"), (prepared, "with dirty memory, prepared")):
        _dirty(subject, case.problem)
        yield case, one, how


def _dirty(subject: BackendUnderTest, problem: Problem) -> None:
    """Fill memory that the allocator will hand out again, blocks of the sizes of the outputs among it."""
    sizes = {int(np.prod(shape)) for shape in problem.shapes.values()} | {2**k for k in range(3, 15)}
    subject.fill_allocator(tuple(sorted(sizes)))


# --- what is kept --------------------------------------------------------------------------------------------------


@law(tolerance="exact", when=_whole)
def history_leaves_no_trace(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """f(x) is the same before and after f(z), whatever z is

    z is another array of the same shape, then a single image, more images, and another stride: plans, buffers and
    shapes must not survive.
    """
    return worst_of(*_judge_all(subject, _call_others(subject, _case(problem))))


def _call_others(subject: BackendUnderTest, case: _Case) -> Iterator[Circumstances]:
    """Yield calls of a case, and of others in between."""
    prepared = subject.prepare(case.problem, case.arrays)
    call = subject.plain(case.problem, subject.devices(case.problem, case.arrays))
    yield case, call, "at first"
    for other in map(_case, _others(case.problem)):
        devices = subject.devices(other.problem, other.arrays)
        yield other, subject.prepare_devices(other.problem, devices), "on other data"
        yield other, subject.plain(other.problem, devices), "next"
        yield case, call, "after other data"
        yield case, prepared, "prepared, after other data"


def _others(problem: Problem) -> tuple[Problem, ...]:
    """Problems near a given one, each with data of its own."""
    stride = tuple(1 if s > 1 else 2 for s in problem.window.stride)
    padding = None if problem.output_padding is None else (0,) * problem.axes
    found = [
        problem.with_(seed=problem.seed + 1),
        problem.with_(x=(1, *problem.x[1:]), seed=problem.seed + 2),
        problem.with_(x=(problem.x[0] + 2, *problem.x[1:]), seed=problem.seed + 3),
    ]
    with contextlib.suppress(GeometryError):  # the padding may crop all of a transposed output then
        found.append(
            problem.with_(window=replace(problem.window, stride=stride), output_padding=padding, seed=problem.seed + 4)
        )
    return tuple(found)


@law(tolerance="exact", when=_whole)
def prepared_calls_are_steady(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """a prepared call returns f(x) each of twelve times, and f(z) after x is filled with z in place

    A prepared call may keep results computed from the kernel and the bias; every other array is read by every call.
    """
    return worst_of(*_judge_all(subject, _call_often(subject, _case(problem))))


def _call_often(subject: BackendUnderTest, case: _Case) -> Iterator[Circumstances]:
    """Yield the same prepared call, and yield it again when its inputs are filled."""
    problem, devices = case.problem, _own(subject, case)
    call = subject.prepare_devices(problem, devices)
    for number in range(CALLS):
        yield case, call, f"in call {number + 1}"
    later = make_arrays(problem.with_(seed=problem.seed + 1))
    other = _case(problem, later | {name: a for name, a in case.arrays.items() if name in ("w", "b")})
    for name, fresh in subject.devices(problem, other.arrays).items():
        if name not in ("w", "b"):
            devices[name][...] = fresh
    yield other, call, "after its inputs were filled again"


@law(tolerance="exact", when=_whole)
def answers_follow_contents(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """f(x) follows what x holds, not where x lies

    The same arrays are filled with other numbers in place; the answer must be that of the new numbers.
    """
    return worst_of(*_judge_all(subject, _refill(subject, _case(problem))))


def _refill(subject: BackendUnderTest, case: _Case) -> Iterator[Circumstances]:
    """Yield calls on the same arrays with different contents."""
    problem, devices = case.problem, _own(subject, case)
    yield case, subject.plain(problem, devices), "at first"
    yield case, subject.prepare_devices(problem, devices), "prepared"
    for number in (1, 2):
        other = _case(problem.with_(seed=problem.seed + number))
        for name, fresh in subject.devices(problem, other.arrays).items():
            devices[name][...] = fresh
        how = f"after its arrays were filled again ({number})"
        yield other, subject.plain(problem, devices), how
        yield other, subject.prepare_devices(problem, devices), f"prepared, {how}"
