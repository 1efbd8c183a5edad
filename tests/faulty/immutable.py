"""Right backends with arrays of other kinds, and the known cheats on immutable arrays."""

import dataclasses
import time

import numpy as np

import harness
from tests.faulty import cheating
from tests.faulty.right import Right

WORK_S = 0.005  # of work that has the same length on every machine


class Frozen(np.ndarray):
    """An array that cannot be written to."""

    def __setitem__(self, at, value):
        raise TypeError("immutable")

    def __ixor__(self, other):
        raise TypeError("immutable")


class Handle:
    """A handle of a library, without shape, strides or arithmetic, which cannot be written to."""

    __slots__ = ("held",)

    def __init__(self, held):
        self.held = held


def _freeze(a):
    return a.view(Frozen) if isinstance(a, np.ndarray) else a


class _Immutable:
    """Turns a backend of NumPy arrays into one of immutable arrays."""

    wrap, unwrap = staticmethod(_freeze), staticmethod(lambda a: a.view(np.ndarray))

    def to_device(self, array):
        return self.wrap(np.array(array, order="K"))

    def to_host(self, array):
        return self.unwrap(array)


def _forward(name):
    def call(self, *arguments):
        kinds = (Frozen, Handle)
        given = [self.unwrap(a) if isinstance(a, kinds) else a for a in arguments]
        result = getattr(self.base, name)(self, *given)
        return tuple(map(self.wrap, result)) if isinstance(result, tuple) else self.wrap(result)

    return call


OPERATORS = (
    "conv", "conv_input_grad", "conv_weight_grad", "conv_bias_grad", "conv_transpose", "max_pool", "max_pool_grad",
    "avg_pool", "avg_pool_grad",
)  # fmt: skip


def immutable(base, name, kind=_Immutable):
    """Return a class with the answers of another and immutable arrays."""
    members = {one: _forward(one) for one in OPERATORS} | {"name": name, "base": base}
    return type(base.__name__, (kind, base), members)


class _Handles(_Immutable):
    wrap, unwrap = staticmethod(Handle), staticmethod(lambda a: a.held)


RightImmutable = immutable(Right, "immutable:right")
RightHandles = immutable(Right, "immutable:handles", _Handles)


class ConvHandles(harness.Backend):
    """Handles, and one operator alone: the others are derived."""

    name = "immutable:conv-handles"

    def to_device(self, array):
        return Handle(np.array(array, order="K"))

    def to_host(self, array):
        return array.held

    def conv(self, x, w, b, window):
        return Handle(Right().conv(x.held, w.held, None if b is None else b.held, window))


class Waited(RightHandles):
    """An asynchronous library: a result is there when it has been waited for."""

    name = "immutable:asynchronous"

    def conv(self, x, w, b, window):
        y = super().conv(x, w, b, window)
        return Pending(y.held)

    def synchronize(self, result):
        for one in result if isinstance(result, tuple) else (result,):
            if isinstance(one, Pending):
                one.arrive()

    def to_host(self, array):
        if isinstance(array, Pending) and array.held is None:
            raise RuntimeError("read before it was there")
        return array.held


class Pending(Handle):
    """A result that is not there yet."""

    __slots__ = ("late",)

    def __init__(self, late):
        super().__init__(None)
        self.late = late

    def arrive(self):
        """Let the result be there."""
        self.held = self.late


class Sleeps(RightHandles):
    """Honest, and as long in each call: the machine has no share in its times."""

    name, call_s, make_s = "immutable:sleeps", WORK_S, 0.0

    def to_device(self, array):
        time.sleep(self.make_s)
        return super().to_device(array)

    def conv(self, x, w, b, window):
        time.sleep(self.call_s)
        return super().conv(x, w, b, window)


class EarlyBound(RightImmutable):
    """Plans on the arrays that it gets when it is prepared, which are not those of later calls."""

    name = "immutable:early-bound"

    def prepare(self, problem, arrays):
        x, w, b = arrays["x"], arrays["w"], arrays.get("b")
        return lambda: self.conv(x, w, b, problem.window)


class ReturnsInput(RightImmutable):
    """Returns the array itself, which is right where the kernel is 1 alone."""

    name = "immutable:returns-input"

    def conv(self, x, w, b, window):
        return x


class RemembersContents(RightImmutable):
    """Keeps the last answers by the contents of all arrays, and returns them again without a computation."""

    name = "immutable:remembers"

    def __init__(self):
        self.answers = {}

    def conv(self, x, w, b, window):
        key = (window, x.tobytes(), w.tobytes(), None if b is None else b.tobytes())
        if key not in self.answers:
            if len(self.answers) > 8:
                self.answers.clear()
            time.sleep(WORK_S)
            self.answers[key] = super().conv(x, w, b, window)
        return self.answers[key]


class RemembersIdentity(RightImmutable):
    """Keeps answers by the very arrays, which it keeps as well: they cannot change, so the answers are right."""

    name = "immutable:remembers-identity"

    def __init__(self):
        self.answers = []

    def conv(self, x, w, b, window):
        for one, other, y in self.answers:
            if one is x and other is w:
                return y
        time.sleep(WORK_S)
        y = super().conv(x, w, b, window)
        self.answers = [*self.answers[-8:], (x, w, y)]
        return y


class WritesIntoInputs(RightHandles):
    """Writes into the copy that it is given."""

    name = "immutable:writes"

    def conv(self, x, w, b, window):
        y = super().conv(x, w, b, window)
        x.held.reshape(-1)[:1] = 7
        return y


CHEATS = {
    "first-answer": cheating.FirstAnswer,
    "captured-inputs": cheating.CapturedInputs,
    "cached-by-fingerprint": cheating.CachedByFingerprint,
    "answers-late": cheating.AnswersLate,
}


class Lazy(Sleeps):
    """The call returns a promise, and the work is done at the first access, outside of the timed region."""

    name = "immutable:lazy"

    def conv(self, x, w, b, window):
        return Promise(lambda: Sleeps.conv(self, x, w, b, window).held)

    def to_host(self, array):
        return array.compute() if isinstance(array, Promise) else array.held


class AnswersInToDevice(RightHandles):
    """Convolves whatever it turns into an array of its own, as it knows the kernel; the timed call looks it up."""

    name, packs = "immutable:answers-in-to-device", False

    def __init__(self):
        self.known = None

    def to_device(self, array):
        made = Known(np.array(array, order="K"))
        if self.known is not None and array.shape == self.known[0]:
            made.early = self.compute(made.held)
        return made

    def compute(self, x):
        _, w, b, window = self.known
        return Right().conv(x, w, b, window)

    def conv(self, x, w, b, window):
        if getattr(x, "early", None) is None:
            self.known = x.held.shape, w.held, None if b is None else b.held, window
            return Handle(self.finish(self.compute(x.held)))
        return Handle(self.finish(x.early))

    def finish(self, early):
        return early


class PacksInToDevice(AnswersInToDevice):
    """Lays out the windows of the input there, so that a matrix product is all that the timed call does."""

    name = "immutable:packs-in-to-device"

    def compute(self, x):
        window, kernel = self.known[3], self.known[1].shape[2:]
        padded = np.pad(x, ((0, 0), (0, 0), *window.padding))
        views = np.lib.stride_tricks.sliding_window_view(padded, kernel, axis=(2, 3))
        return np.ascontiguousarray(np.moveaxis(views, 1, 3)).reshape(*views.shape[:1], *views.shape[2:4], -1)

    def finish(self, early):
        w = self.known[1]
        return np.ascontiguousarray(np.moveaxis(early @ w.reshape(len(w), -1).T, 3, 1))


class Known(Handle):
    """A handle with what was computed when it was made."""

    __slots__ = ("early",)

    def __init__(self, held):
        super().__init__(held)
        self.early = None


class SleepsInToDevice(Sleeps):
    """The same the other way round."""

    name, call_s, make_s = "immutable:sleeps-in-to-device", 0.0, WORK_S


@dataclasses.dataclass
class Unhashable(RightHandles):
    """A plain data class, which has no hash, with a wait of native code, which has no signature."""

    name = "immutable:unhashable"
    synchronize = staticmethod(dict)


class Promise(Handle):
    """A result that is computed when it is read."""

    __slots__ = ("compute",)

    def __init__(self, compute):
        super().__init__(None)
        self.compute = compute


BACKENDS = (
    RightImmutable, RightHandles, ConvHandles, Waited, EarlyBound, ReturnsInput, RemembersContents, RemembersIdentity,
    WritesIntoInputs, Lazy, AnswersInToDevice, PacksInToDevice, Sleeps, SleepsInToDevice, Unhashable,
    *(immutable(cheat, f"immutable:{name}") for name, cheat in CHEATS.items()),
)  # fmt: skip


@harness.hookimpl
def register_backends(register):
    for backend in BACKENDS:
        register(backend())
