"""Calls that a backend's library refused, although the backend declares that it supports the problem.

`Backend.supports` answers for a problem whatever its arrays hold. A refusal in a call stands under the same condition:
the problem is asked once more, by the plain method and on other contents. A backend that answers then has refused its
contents, or the way in which it was asked, and that is an error.
"""

from __future__ import annotations

from harness.backend.base import Backend
from harness.backend.refusals import is_refusal
from harness.laws.networks.subject import NetworkUnderTest
from harness.laws.subject import BackendUnderTest
from harness.problems.data import make_arrays
from harness.problems.problem import Problem
from harness.record.run import REFUSED
from harness.worker.origin import describe_error
from harness.worker.protocol import Checked

Seen = BackendUnderTest | NetworkUnderTest
ANOTHER = 0x5EED  # by exclusive or with the seed of a problem: other contents
MOST_BYTES = 2**30  # of the arrays of a problem that is asked once more


def judge_refusal(subject: Seen, error: Exception) -> Checked | None:
    """Return the outcome of an exception in a call: None if it is no refusal, an error if the refusal does not stand.

    subject: what was asked. error: the exception.
    Raises UsageError if the backend names types that stand for other errors too.
    """
    if not any(is_refusal(backend, error) for backend, _ in _list_asked(subject)):
        return None
    return hold_refusal(subject, describe_error(error), getattr(error, "problem", None))


def hold_refusal(subject: Seen, told: str, problem: Problem | None = None) -> Checked:
    """Return the outcome of a refusal: an error, unless a backend refuses again when it is asked once more.

    subject: what was asked. told: the exception in words.
    problem: of the call; None if it is not known, as in this process.
    """
    asked = [(one, other) for one, other in _list_asked(subject) if problem is None or other == problem]
    if not asked:  # a problem next to that of the cell
        asked = [(one, problem) for one in dict.fromkeys(one for one, _ in _list_asked(subject)) if problem is not None]
    answer: str | None = ""
    for backend, other in asked:
        if not (answer := _ask_again(subject, backend, other)):
            own = problem is None or (backend, problem) in _list_asked(subject)
            return Checked("unsupported", f"{REFUSED}{'' if own else f', {other.line}'}: {told}")
    return Checked("error", f"{told}; it was refused once, but {answer}")


def note_refusal(backend: Backend, error: Exception) -> Checked | None:
    """Return the outcome of a refusal in the backend's process, None for others; the judge has still to ask again.

    backend: that was called. error: what it raised.
    """
    return Checked("unsupported", f"{REFUSED}: {describe_error(error)}") if is_refusal(backend, error) else None


def _list_asked(subject: Seen) -> list[tuple[Backend, Problem]]:
    """Return each backend with a problem that it was asked: for a network, those of its layers."""
    if isinstance(subject, BackendUnderTest):
        return [(subject.backend, subject.problem)]
    backends = [one for one in (subject.backend, subject.partner) if one is not None]
    return [(one, layer) for layer in subject.network.layers(subject.problem.work) for one in backends]


def _ask_again(subject: Seen, backend: Backend, problem: Problem) -> str | None:
    """Ask a backend a problem on other contents, by its plain method. Return why a refusal does not stand, or None."""
    if problem.bytes > MOST_BYTES:
        return f"a problem of {problem.bytes / 2**30:.3g} GiB is not asked again: `supports` has to refuse it"
    other = problem.with_(data="normal", seed=problem.seed ^ ANOTHER)
    one = subject.alone(backend, other) if isinstance(subject, NetworkUnderTest) else subject
    try:
        one.run(other, make_arrays(other))
    except Exception as error:
        return None if is_refusal(backend, error) else f"raised something else when it was asked again: {error}"
    return f"the same problem was answered on other contents: {other.line}"
