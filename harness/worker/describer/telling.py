"""Contents of a plugin, and declarations of its backends for problems, as plain data; exceptions are part of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import TypeVar, overload

from harness.backend.base import Backend
from harness.backend.routing import find_route, refusal_reason
from harness.errors import say_error
from harness.plan.task import check_estimate, check_numerics
from harness.plugins.manager import Registry
from harness.problems.numerics import Numerics
from harness.problems.problem import Problem
from harness.worker.described.backend import find_source
from harness.worker.host.declared import declare
from harness.worker.host.raised import describe_raised
from harness.worker.wire.descriptions import Answer, Arithmetic, Offer, Plugin, Way, encoder
from harness.worker.wire.messages import MOST_TEXT, Raised

Found = TypeVar("Found")


def describe_plugin(registry: Registry, name: str) -> Plugin:
    """Return what a plugin brings; a plugin that declares what cannot be sent is broken.

    registry: with this plugin alone. name: of the plugin.
    """
    (row,) = (one for one in registry.rows if one.name == name)
    if row.state != "loaded":
        return Plugin(_limit(row.reason or row.state))
    try:
        found = Plugin(
            None, tuple(_offer(backend) for backend in registry.backends.values()), row.suites, row.laws, row.problems,
            row.networks, row.reporters, row.hooks,
        )  # fmt: skip
        encoder.encode(found)
    except Exception as error:
        return Plugin(_limit(f"it declares what cannot be told: {say_error(error)}"))
    return found


def _offer(backend: Backend) -> Offer:
    return Offer(declare(backend), backend.listed, find_source(backend))


def tell(backend: Backend, problem: Problem, *, every: bool) -> Answer:
    """Return what a backend declares for a problem.

    every: whether arithmetic and costs are also wanted of what the backend does not support.
    """
    way = _guard(lambda: _find_way(backend, problem))
    if not every and (isinstance(way, Raised) or way.kind == "unsupported"):
        return Answer(way)
    return Answer(
        way,
        _guard(lambda: _state_numerics(backend, problem)),
        _guard(lambda: _read_estimate("work", backend.work(problem))),
        _guard(lambda: _read_estimate("workspace", backend.workspace(problem))),
    )


def encode_answer(answer: Answer) -> bytes:
    """Encode an answer; one with values that cannot be sent becomes an exception of the backend."""
    try:
        return encoder.encode(answer)
    except Exception as error:
        return encoder.encode(Answer(describe_raised(error)))


def _find_way(backend: Backend, problem: Problem) -> Way:
    route = find_route(backend, problem)
    refusal = None if route.kind == "native" else refusal_reason(backend, problem)
    return Way(route.kind, _limit(route.via), _limit(route.reason), _limit(refusal))


def _state_numerics(backend: Backend, problem: Problem) -> Arithmetic:
    check_numerics(backend, problem)
    given = backend.numerics_for(problem)
    values = {field.name: getattr(given, field.name) for field in fields(Numerics)}
    Numerics(**values)  # as only a constructor checks it
    return Arithmetic(values | {"accumulator": dict(given.accumulator)})


def _read_estimate(name: str, value: object) -> float:
    check_estimate(name, value)
    return float(value)  # type: ignore[arg-type]  # checked


def _guard(work: Callable[[], Found]) -> Found | Raised:
    """Return the result of the work, or the exception that the backend raised, of any kind."""
    try:
        return work()
    except BaseException as error:  # also SystemExit and KeyboardInterrupt, which are the backend's own here
        return describe_raised(error)


@overload
def _limit(text: str) -> str: ...
@overload
def _limit(text: None) -> None: ...
def _limit(text: str | None) -> str | None:
    """Return the beginning of a text that is too long to be sent."""
    if text is None:
        return None
    plain = str(text)  # of a subclass, too
    return plain if len(plain) <= MOST_TEXT else f"{plain[: MOST_TEXT - 3]}..."
