"""Checks of a backend at registration: declarations of its class, and probably misspelt names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import get_args

from harness.backend.base import Backend, ClockName, native_operators
from harness.backend.spelling import find_meant
from harness.backend.switches import SWITCHES
from harness.errors import UsageError
from harness.problems.numerics import DTYPES, Numerics
from harness.problems.operator import Operator
from harness.problems.validation import check_number, check_one_of, check_type, read_tuple, refuse

SET_THREADS = "set_threads"  # an optional hook without a default in Backend
_DEVICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def check_backend(backend: object) -> None:
    """Raise UsageError, with the faulty member and the expected value, unless a backend can be used."""
    if not isinstance(backend, Backend):
        raise UsageError(f"got {backend!r}, wanted an instance of a subclass of harness.Backend")
    suspects = list(find_misspelt(backend))
    if not native_operators(backend):
        hint = "".join(f"; {name} is none, did you mean {meant}?" for name, meant, _ in suspects)
        raise UsageError(f"backend '{backend.name}' has no operator, wanted at least one method such as conv{hint}")
    for name, meant, kind in suspects:
        raise UsageError(
            f"backend '{backend.name}' has {name}, which is not {kind} and is never read, wanted {meant}; rename it, "
            "or begin it with an underscore if it is meant for the backend alone"
        )
    check_declarations(backend)
    for name in _list_hooks():
        if not callable(getattr(backend, name, print)):
            raise refuse(f"backend '{backend.name}', {name}", getattr(backend, name), "a method")


def check_declarations(backend: Backend) -> None:
    """Raise UsageError, with the faulty member and the expected value, unless all declarations can be used."""
    for name, check in _DECLARATIONS.items():
        check(f"backend '{backend.name}', {name}", getattr(backend, name))


def _check_axes(what: str, value: object) -> None:
    wanted = "a tuple of numbers of spatial axes out of 1, 2 and 3, such as (2,) or (1, 2, 3)"
    if not set(read_tuple(what, value, int, wanted)) <= {1, 2, 3} or not value:
        raise refuse(what, value, wanted)


def _check_dtypes(what: str, value: object) -> None:
    wanted = f'a tuple of dtypes out of {", ".join(DTYPES)}, such as ("float32",)'
    if not read_tuple(what, value, str, wanted):
        raise refuse(what, value, wanted)
    for dtype in read_tuple(what, value, str, wanted):
        check_one_of(f"dtype of {what}", dtype, DTYPES)


def _check_flag(what: str, value: object) -> None:
    check_type(what, value, bool, "True or False")


def _check_device(what: str, value: object) -> None:
    if not isinstance(value, str) or not _DEVICE.fullmatch(value):
        raise refuse(what, value, "the name of a device, such as 'cpu' or 'cuda'")


def _check_switches(what: str, value: object) -> None:
    for name in read_tuple(what, value, str, "a tuple of names of libraries, such as ('onednn',)"):
        check_one_of(f"library of {what}", name, SWITCHES)


_DECLARATIONS: dict[str, Callable[[str, object], None]] = {
    "axes": _check_axes,
    "dtypes": _check_dtypes,
    "grouped": _check_flag,
    "device": _check_device,
    "clock": lambda what, value: check_one_of(f"clock of {what}", value, get_args(ClockName)),
    "rate": lambda what, value: check_number(what, value, "operations per second, above 0", above=0),
    "numerics": lambda what, value: check_type(what, value, Numerics, "a harness.Numerics"),
    "takes_complex": _check_flag,
    "instruction_sets": _check_switches,
    "listed": _check_flag,
}


def _list_hooks() -> tuple[str, ...]:
    """Public methods of Backend, and the optional hook that it lacks."""
    return (*(name for name, value in vars(Backend).items() if callable(value) and name[0] != "_"), SET_THREADS)


def find_misspelt(backend: Backend) -> Iterator[tuple[str, str, str]]:
    """Find public members that are probably misspelt: yield the name, the intended name, and its kind of member."""
    own = dict(_list_own(backend))
    groups = (
        (tuple(operator.value for operator in Operator), "an operator", True),
        (_list_hooks(), "a method that the harness calls", True),
        (tuple(_DECLARATIONS), "a declaration", False),
    )
    read = {"name", *(name for names, _, _ in groups for name in names)}
    for names, kind, called in groups:
        absent = tuple(name for name in names if name not in own)
        for name in sorted(own.keys() - read):
            if callable(own[name]) is called and (meant := find_meant(name, absent, names)):
                yield name, meant, kind


def _list_own(backend: Backend) -> Iterator[tuple[str, object]]:
    """Public members of the backend's classes below Backend, except classes and properties."""
    for klass in type(backend).__mro__:
        if klass in (Backend, object):
            continue
        for name in vars(klass):
            value = getattr(klass, name, None)
            if name[0] != "_" and not isinstance(value, type | property):
                yield name, value
