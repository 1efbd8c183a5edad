"""A third-party backend as the command knows it: declared in a process of its plugin, and computed with in workers."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NoReturn, TypeVar

from harness.backend.base import Backend
from harness.backend.compiled.library import Library
from harness.backend.declarations import check_declarations
from harness.backend.routing import Route, RoutedBackend
from harness.plan.planner import geometry
from harness.problems.arrays import Array, Call, DeviceArray, DeviceArrays
from harness.problems.numerics import Numerics
from harness.problems.operator import Operator
from harness.problems.problem import Problem
from harness.worker.described.process import Describer, NoAnswerError
from harness.worker.hosted.raised import make_error
from harness.worker.wire.arguments import Asked
from harness.worker.wire.descriptions import Answer, Arithmetic, Offer, Way
from harness.worker.wire.messages import MOST_TEXT, Raised

MOST_DEATHS = 3  # as of a worker
Key = tuple[Any, ...]
Stated = TypeVar("Stated")


class DescribedBackend(RoutedBackend):
    """A backend whose code never runs in this process; what it declares is asked once for each geometry.

    A process that ends, hangs or answers nonsense is an error of the problem that was asked; after a few such deaths
    nothing more is asked.
    """

    describer: Describer
    offer: Offer

    def __init__(self, describer: Describer, offer: Offer) -> None:
        """Ask a describer. Use `make_described`, which sets what classes of backends declare."""
        self.describer, self.offer = describer, offer
        self.answers: dict[Key, Answer] = {}
        self.numerics_made: tuple[Arithmetic, Numerics] | None = None  # last
        self.deaths, self.last = 0, ""  # of its plugin's process while it was asked, and how it died last

    @property
    def answers_for_problems(self) -> bool:
        """True if anything that it declares depends on the problem."""
        return not {"supports", "numerics_for", "work", "workspace"}.isdisjoint(self.offer.declared.own)

    @property
    def decides(self) -> bool:
        """True if the backend itself says for each problem whether it supports it."""
        return "supports" in self.offer.declared.own or "numerics_for" in self.offer.declared.own

    def foresee(self, problems: Iterable[Problem]) -> None:
        """Ask for all problems at once. Raises nothing: what has no answer is an error when it is wanted."""
        self._learn(problems, every=not self.decides)

    def find_route(self, problem: Problem) -> Route:
        """Return the route to a problem."""
        way = _open(self._answer(problem).route)
        return Route(kind=way.kind, via=way.via, reason=way.reason)

    def refusal_reason(self, problem: Problem) -> str | None:
        """Return why the backend's own method does not compute a problem, or None."""
        return _open(self._answer(problem).route).refusal

    def numerics_for(self, problem: Problem) -> Numerics:
        """Return the declared arithmetic for a problem."""
        if "numerics_for" not in self.offer.declared.own:
            return self.numerics
        said = self._fact(problem, lambda answer: answer.numerics)
        if self.numerics_made is None or self.numerics_made[0] != said:  # the same for most problems of a plan
            self.numerics_made = said, make_numerics(said)
        return self.numerics_made[1]

    def workspace(self, problem: Problem) -> int:
        """Return the bytes that a call needs in addition to its arrays."""
        if "workspace" not in self.offer.declared.own:
            return 0
        return int(self._fact(problem, lambda answer: answer.workspace))

    def work(self, problem: Problem) -> float:
        """Return the operations that the backend executes."""
        if "work" not in self.offer.declared.own:
            return super().work(problem)
        return self._fact(problem, lambda answer: answer.work)

    def _fact(self, problem: Problem, read: Callable[[Answer], Stated | Raised | None]) -> Stated:
        """Return a part of an answer, which is asked again where the backend does not support the problem."""
        found = read(self._answer(problem, every=not self.decides))
        if found is None:
            found = read(self._answer(problem, every=True))
        if found is None:
            raise NoAnswerError("its plugin's process left out a part of its answer")
        return _open(found)

    def _answer(self, problem: Problem, *, every: bool = False) -> Answer:
        key = (*geometry(problem), every)
        if key not in self.answers:
            self._learn([problem], every=every)
        return self.answers[key]

    def _learn(self, problems: Iterable[Problem], *, every: bool) -> None:
        """Ask for what is not known yet. A problem without an answer has that error, as has all after MOST_DEATHS."""
        wanted = {(*geometry(problem), every): problem for problem in problems}
        new = [(key, problem) for key, problem in wanted.items() if key not in self.answers]
        while new:
            error: NoAnswerError | None = None
            if self.deaths < MOST_DEATHS:
                error = self._ask(new, every=every)
            new = [(key, problem) for key, problem in new if key not in self.answers]
            if error is not None:
                self.deaths, self.last = self.deaths + 1, f"{error}"
                key, problem = new.pop(0)
                self.answers[key] = _fail(f"{error}, asked for '{problem.line}'")
            elif new:
                text = f"not asked again after {self.deaths} deaths of its plugin's process: {self.last}"
                self.answers |= {key: _fail(text) for key, _ in new}

    def _ask(self, new: Sequence[tuple[Key, Problem]], *, every: bool) -> NoAnswerError | None:
        """Ask for new problems; return the error at which the answers end, None if they are complete."""
        keys = iter(new)

        def take(answer: Answer) -> None:
            self.answers[next(keys)[0]] = _check_answer(answer)

        try:
            self.describer.ask(self.name, [Asked.of(problem) for _, problem in new], take, every=every)
        except NoAnswerError as error:
            return error
        return None

    # Calls are made in workers only.

    def prepare(self, problem: Problem, arrays: DeviceArrays) -> Call:
        """Raise RuntimeError."""
        self._refuse()

    def to_device(self, array: Array) -> DeviceArray:
        """Raise RuntimeError."""
        self._refuse()

    def to_host(self, array: DeviceArray) -> Array:
        """Raise RuntimeError."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise RuntimeError(f"backend '{self.name}' computes in workers, not in the process that plans")


def make_described(describer: Describer, offer: Offer) -> DescribedBackend:
    """Return the backend that a plugin's process offers, with a method for each operator that it has itself.

    Raises UsageError, or another error of damaged data, for declarations that no backend may have.
    """
    said = offer.declared
    members: dict[str, Any] = {
        name: getattr(said, name)
        for name in (
            "name", "axes", "dtypes", "grouped", "device", "clock", "rate", "takes_complex", "instruction_sets",
        )
    }  # fmt: skip
    members |= {"listed": offer.listed, "numerics": _build_numerics(said.numerics)}
    members |= {Operator(name).value: _make_operator() for name in said.operators}
    kind: type[DescribedBackend] = type("DescribedBackend", (DescribedBackend,), members)
    backend = kind(describer, offer)
    check_declarations(backend)
    return backend


def make_numerics(said: Arithmetic) -> Numerics:
    """Return the numerics of an answer. Raises UsageError or TypeError if they are impossible."""
    return _build_numerics(said.fields)


def find_source(backend: Backend) -> str:
    """Return the file of a backend's class or of its library, as its process says if it has one; "" if unknown."""
    if isinstance(backend, DescribedBackend):
        return backend.offer.source
    if isinstance(library := getattr(backend, "library", None), Library):
        return str(library.file)
    with suppress(TypeError, OSError):
        return inspect.getsourcefile(type(backend)) or ""
    return ""


def rest(backends: Iterable[Backend]) -> None:
    """End the processes of plugins that describe these backends, until one is asked again."""
    for backend in backends:
        if isinstance(backend, DescribedBackend):
            backend.describer.rest()


def _build_numerics(fields: Mapping[str, Any]) -> Numerics:
    return Numerics(**fields)


def _open(stated: Stated | Raised) -> Stated:
    """Return what a backend has stated, or raise what it raised."""
    if isinstance(stated, Raised):
        raise make_error(stated)
    return stated


def _check_answer(answer: Answer) -> Answer:
    """Return an answer; texts of more than their limit, which an honest process keeps, become an error."""
    texts: list[str | None] = []
    for part in (answer.route, answer.numerics, answer.work, answer.workspace):
        if isinstance(part, Raised):
            texts += part.text, *part.types
        elif isinstance(part, Way):
            texts += part.via, part.reason, part.refusal
    if any(text is not None and len(text) > MOST_TEXT for text in texts):
        return _fail(f"its plugin's process gave a text of more than {MOST_TEXT} characters")
    return answer


def _fail(text: str) -> Answer:
    return Answer(Raised((NoAnswerError.__name__,), text, "", False))


def _make_operator() -> Callable[..., Any]:
    def call(self: DescribedBackend, *arguments: Any) -> Any:
        self._refuse()

    return call
