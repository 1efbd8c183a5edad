"""The backend under test, called with NumPy arrays: the interface for laws and verification."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

import numpy as np

from harness.backend.base import Backend
from harness.backend.copying import Copying
from harness.backend.refusals import is_refusal, name_problem
from harness.backend.routing import prepare, run
from harness.backend.watched import watch
from harness.errors import RefusalError
from harness.laws.error_bounds import is_exact
from harness.laws.interrupting import interrupt
from harness.laws.meeting import Caller, Interruption, Make, Meetings, Overlapping
from harness.laws.overlapping import overlap
from harness.laws.threads import Turning, limit_threads, watch_threads
from harness.problems.arrays import Array, Call, DeviceArray, DeviceArrays, Outputs
from harness.problems.calling import bind_operator, name_outputs
from harness.problems.data import apply_layout
from harness.problems.numerics import Numerics, dtype_of
from harness.problems.operator import Operator
from harness.problems.problem import Problem
from harness.problems.reference import turn
from harness.problems.taps import device_options, find_namespace
from harness.problems.window import Sizes, Window


class NotExactError(RefusalError):
    """A law that compares whole numbers cannot be applied: sums are too large for the dtype."""


class NoRoomError(RefusalError):
    """A law on large arrays cannot be applied: there is less memory than they need."""


@dataclass(frozen=True, slots=True)
class PreparedCall:
    """A prepared call. `call` and the backend's synchronisation are timed; `fetch` copies the outputs to the host."""

    problem: Problem
    backend: Backend
    call: Call

    def run(self) -> Outputs:
        """Call once and wait until every queued operation has ended."""
        with name_problem(self.backend, self.problem):
            result = self.call()
            self.backend.synchronize()
        return result

    def answer(self) -> dict[str, Array]:
        """Call once; return the outputs by name as new NumPy arrays. Raises ValueError for a wrong shape or dtype."""
        return self.fetch(self.run())

    def fetch(self, result: Outputs) -> dict[str, Array]:
        """Return the outputs by name as new NumPy arrays. Raises ValueError for a wrong shape or dtype."""
        with name_problem(self.backend, self.problem):
            copies = {k: np.array(self.backend.to_host(a)) for k, a in name_outputs(self.problem, result).items()}
        return self.accept(copies)

    def accept(self, copies: Mapping[str, Array]) -> dict[str, Array]:
        """Return the outputs by name from copies of a result's arrays. Raises ValueError for a wrong shape or dtype."""
        for name, a in copies.items():
            check_form(self.problem, name, a)
        return turn(self.problem, dict(copies))


def unturned(problem: Problem) -> Problem:
    """Return the correlation that a backend computes: for a problem with `flip`, w is flipped beforehand."""
    return problem.with_(flip=False) if problem.flip else problem


def check_form(problem: Problem, name: str, a: Array) -> None:
    """Raise ValueError unless an output has the shape and dtype of the problem.

    name: of the output.
    a: the output on the host.
    """
    shape, dtype = problem.shapes[name], dtype_of(problem.dtype)
    if a.shape != shape:
        raise ValueError(f"{problem.operator} gave {name} of shape {a.shape}, wanted {shape}")
    if a.dtype.kind not in "iu" if name == "indices" else a.dtype != dtype:
        wanted = "whole numbers" if name == "indices" else dtype
        raise ValueError(f"{problem.operator} gave {name} as {a.dtype}, wanted {wanted}")


def fill_allocator(backend: Backend, sizes: tuple[int, ...]) -> None:
    """Allocate blocks of NaN and free them, in NumPy's memory and in the backend's own.

    sizes: of the blocks, in elements.
    """
    like = backend.to_device(np.zeros(1, dtype=np.float64))
    kept: list[DeviceArray] = [np.full(size, np.nan, dtype) for dtype in (np.float64, np.float32) for size in sizes * 2]
    if isinstance(backend, Copying):
        kept += [backend.own(np.full(size, np.nan, dtype)) for dtype in (np.float64, np.float32) for size in sizes * 2]
    elif not isinstance(like, np.ndarray):
        xp, options = find_namespace(like), device_options(like)
        kept += [xp.full((size,), float("nan"), dtype=like.dtype, **options) for size in sizes * 2]
    del kept


class BackendUnderTest:
    """One backend as seen by laws, in the dtype, layout and data regime of a problem.

    On whole numbers, outputs of a norm-wise backend are rounded, after checking that its bound is below 1/2.
    """

    def __init__(self, backend: Backend, problem: Problem) -> None:
        self.backend, self.problem = backend, problem

    def watch(self) -> None:
        """From now on take a refusal that the backend's own method raises for an error of the backend."""
        self.backend = watch(self.backend)

    def numerics(self, problem: Problem | None = None) -> Numerics:
        """Return the numerics that the backend declares for a problem."""
        return self.backend.numerics_for(problem or self.problem)

    def is_refusal(self, error: Exception) -> bool:
        """Return True if an exception is of a type by which the backend's library refuses (`Backend.refusal_types`)."""
        return is_refusal(self.backend, error)

    def arrange(self, problem: Problem, arrays: Mapping[str, Array]) -> dict[str, Array]:
        """Return arrays in the problem's dtype and memory layout; indices stay whole numbers."""
        dtype = dtype_of(problem.dtype)
        turned = turn(problem, {name: a for name, a in arrays.items() if a is not None})
        return {
            name: apply_layout(a if name == "indices" else a.astype(dtype), problem.layout)
            for name, a in turned.items()
        }

    def devices(self, problem: Problem, arrays: Mapping[str, Array]) -> dict[str, DeviceArray]:
        """Return arrays of the backend's own type, in the problem's dtype and memory layout."""
        arranged = self.arrange(problem, arrays)
        with name_problem(self.backend, problem):
            return {name: self.backend.to_device(a) for name, a in arranged.items()}

    def to_hosts(self, arrays: DeviceArrays) -> dict[str, Array]:
        """Return copies of the backend's own arrays as NumPy arrays, by name."""
        return {name: np.array(self.backend.to_host(a)) for name, a in arrays.items()}

    def together(self) -> AbstractContextManager[None]:
        """Allow what is done inside to be done later, in the same order, when a value is needed or at the end.

        A backend in another process is then asked with fewer messages. Its exceptions may be raised later too, but
        inside; so a law that catches some of them must do so around the whole.
        """
        return nullcontext()

    def answer_all(self, calls: Iterable[PreparedCall]) -> list[dict[str, Array]]:
        """Make calls one after the other; return the outputs of each, as `PreparedCall.answer`.

        calls: may be a generator, which makes each call, and changes arrays, when the calls before are made. As in
            `together`, it must not need their answers.
        """
        return [call.answer() for call in calls]

    def fetch_all(self, results: Iterable[tuple[PreparedCall, Outputs]]) -> list[dict[str, Array]]:
        """Return the outputs of several calls that were made, as `PreparedCall.fetch` does."""
        return [call.fetch(result) for call, result in results]

    def prepare(self, problem: Problem, arrays: Mapping[str, Array]) -> PreparedCall:
        """Prepare the timed call."""
        return self.prepare_devices(problem, self.devices(problem, arrays))

    def prepare_devices(self, problem: Problem, devices: DeviceArrays) -> PreparedCall:
        """Prepare the timed call on the backend's own arrays."""
        with name_problem(self.backend, problem):
            return PreparedCall(problem, self.backend, prepare(self.backend, unturned(problem), devices))

    def plain(self, problem: Problem, devices: DeviceArrays) -> PreparedCall:
        """Return the call of the backend's plain methods on its own arrays, which are not copied."""
        plain = unturned(problem)
        return PreparedCall(problem, self.backend, lambda: run(self.backend, plain, devices))

    @property
    def copies(self) -> bool:
        """Return True if arrays are copied for each call, because the backend's own cannot be written in place."""
        return isinstance(self.backend, Copying)

    @property
    def plans(self) -> bool:
        """Return True if a prepared call differs from the plain method bound to its arrays."""
        inner = self.backend.inner if isinstance(self.backend, Copying) else self.backend
        return getattr(inner.prepare, "__func__", None) is not Backend.prepare

    def native(self, problem: Problem, devices: DeviceArrays) -> PreparedCall:
        """Return the call of the backend's own method, which must exist; its route is not looked for in every call."""
        return PreparedCall(problem, self.backend, bind_operator(self.backend, unturned(problem), devices))

    def run(self, problem: Problem, arrays: Mapping[str, Array]) -> dict[str, Array]:
        """Run a problem with the backend's plain methods; return outputs by name, on the host."""
        call = self.plain(problem, self.devices(problem, arrays))
        return call.answer()

    def whole(self, problem: Problem, arrays: Mapping[str, Array | None]) -> dict[str, Array]:
        """Run a problem on whole numbers; return float64 outputs, exact by the checked bound. Raises NotExactError."""
        given = {name: a for name, a in arrays.items() if a is not None}
        numerics = self.numerics(problem)
        if not is_exact(problem, numerics, given):
            raise NotExactError(f"sums of {problem.line} are not exact in {problem.dtype} ({numerics.algorithm})")
        outputs = self.run(problem, given)
        wide = {k: a if a.dtype.kind == "i" else a.astype(np.float64) for k, a in outputs.items()}
        rounds = numerics.normwise and not problem.operator.spec.selects
        return {k: np.rint(a) if rounds else a for k, a in wide.items()}

    def limit_threads(self, threads: int) -> AbstractContextManager[int]:
        """Limit the backend to a number of threads, and restore it afterwards; yields the number that it reports."""
        return limit_threads(self.backend, threads)

    def watch_threads(self, call: Call, counts: Sequence[int]) -> Turning:
        """Change the number of threads of a call, and observe which threads work; see `observe_threads`."""
        return watch_threads(self.backend, call, counts)

    @contextmanager
    def meet(self) -> Iterator[Meetings]:
        """Let calls of the backend meet: one in the middle of another, or several at the same time."""
        with ThreadPoolExecutor(1) as pool:
            yield OwnMeetings(self, pool)

    def fill_allocator(self, sizes: tuple[int, ...]) -> None:
        """Fill memory that the allocators will give to the next call with NaN: NumPy's and the backend's own.

        sizes: of the blocks, in elements.
        """
        fill_allocator(self.backend, sizes)

    # The operators on whole numbers, with shapes taken from the arrays; laws use these.

    def conv(
        self, x: Array, w: Array, b: Array | None = None, window: Window | None = None, *, flip: bool = False
    ) -> Array:
        """Return y = conv(x, w, b).

        x, w, b: n c *s, o c/g *k and o.
        window: None for the problem's.
        flip: whether to flip the kernel.
        Raises NotExactError.
        """
        problem = self._problem(Operator.conv, x.shape, w.shape, window, bias=b is not None, flip=flip)
        return self.whole(problem, {"x": x, "w": w, "b": b})["y"]

    def input_grad(self, dy: Array, w: Array, x_shape: Sizes, window: Window | None = None) -> Array:
        """Return dx = conv_input_grad(dy, w).

        dy, w: n o *p and o c/g *k.
        x_shape: of dx.
        window: None for the problem's.
        Raises NotExactError.
        """
        return self.whole(self._problem(Operator.conv_input_grad, x_shape, w.shape, window), {"dy": dy, "w": w})["dx"]

    def weight_grad(self, dy: Array, x: Array, w_shape: Sizes, window: Window | None = None) -> Array:
        """Return dw = conv_weight_grad(dy, x).

        dy, x: n o *p and n c *s.
        w_shape: of dw.
        window: None for the problem's.
        Raises NotExactError.
        """
        return self.whole(self._problem(Operator.conv_weight_grad, x.shape, w_shape, window), {"dy": dy, "x": x})["dw"]

    def bias_grad(self, dy: Array) -> Array:
        """Return db = conv_bias_grad(dy). Raises NotExactError."""
        problem = self.problem.with_(operator=Operator.conv_bias_grad, bias=False)
        return self.whole(problem, {"dy": dy})["db"]

    def _problem(
        self,
        operator: Operator,
        x: Sizes,
        w: Sizes,
        window: Window | None,
        bias: bool = False,
        flip: bool | None = None,
    ) -> Problem:
        return self.problem.with_(
            operator=operator,
            x=tuple(x),
            w=tuple(w),
            window=window or self.problem.window,
            bias=bias,
            output_padding=None,
            flip=self.problem.flip if flip is None else flip,
        )


@dataclass(frozen=True, slots=True)
class OwnMeetings:
    """Meetings of calls in this process. Every call that is stopped runs in the one thread of the pool.

    Libraries make a team for each thread that calls them.
    """

    subject: BackendUnderTest
    pool: ThreadPoolExecutor

    def interrupt(
        self, first: Caller, always: Sequence[Caller], turns: Sequence[Caller], stops: Sequence[int]
    ) -> Interruption:
        """Make calls in the middle of another; see `Meetings`.

        first, always, turns, stops: as there.
        """
        make = self._make
        return interrupt(self.pool, make(first), [make(one) for one in always], [make(one) for one in turns], stops)

    def overlap(self, callers: Sequence[Caller]) -> Overlapping:
        """Make calls at the same time; see `Meetings`."""
        return overlap([self._make(one) for one in callers])

    def _make(self, caller: Caller) -> Make:
        if (call := caller.call) is not None:
            return lambda: call
        assert caller.arrays is not None
        arrays = caller.arrays
        return lambda: self.subject.prepare(caller.problem, {name: a.copy(order="K") for name, a in arrays.items()})
