"""Calls that a backend's library refused, although the backend declares that it supports the problem.

`Backend.supports` answers for a problem whatever its arrays hold. A refusal in a call stands under the same condition:
the problem is asked once more, by the plain method and on other contents: on whole numbers, and on others. A backend
that answers one of them has refused its contents, or the way in which it was asked, and that is an error.
"""

from __future__ import annotations

from harness.backend.base import Backend
from harness.backend.refusals import find_problem, is_refusal
from harness.laws.networks.subject import NetworkUnderTest
from harness.laws.subject import BackendUnderTest, unturned
from harness.networks.graph import problems_of
from harness.problems.data import make_arrays
from harness.problems.problem import Problem, Regime
from harness.record.run import CANNOT_TELL, REFUSED
from harness.worker.origin import describe_error
from harness.worker.protocol import Checked

Seen = BackendUnderTest | NetworkUnderTest
ANOTHER = 0x5EED  # by exclusive or with the seed of a problem: other contents
OTHERS: tuple[Regime, ...] = ("integer", "normal")  # every sum of the first is exact, few of the second are
MOST_BYTES = 2**30  # of the arrays of a problem that is asked once more


def judge_refusal(subject: Seen, error: Exception) -> Checked | None:
    """Return the outcome of an exception in a call: None if it is no refusal, an error if the refusal does not stand.

    subject: what was asked. error: the exception.
    Raises UsageError if the backend names types that stand for other errors too.
    """
    if not any(is_refusal(backend, error) for backend, _ in _list_asked(subject)):
        return None
    return hold_refusal(subject, describe_error(error), find_problem(error))


def hold_refusal(subject: Seen, told: str, problem: Problem | None = None) -> Checked:
    """Return the outcome of a refusal: an error, unless a backend refuses again on all contents that it is asked.

    subject: what was asked. told: the exception in words.
    problem: of the call; None if it is not known. Without `flip`, as a backend gets it, or with it.
    The machine cannot tell where the arrays are too large to ask again.
    """
    mine = _list_asked(subject)
    asked = [(one, other) for one, other in mine if problem is None or unturned(other) == unturned(problem)]
    own = bool(asked)
    if problem is not None and not own:  # a problem next to that of the cell
        asked = [(one, problem) for one in dict.fromkeys(one for one, _ in mine)]
    answer = ""
    for backend, other in asked:
        if other.bytes <= MOST_BYTES and not (answer := _ask_again(subject, backend, other) or ""):
            return Checked("unsupported", f"{REFUSED}{'' if own else f', {other.line}'}: {told}")
    if large := [other for _, other in asked if other.bytes > MOST_BYTES]:
        size = f"{large[0].bytes / 2**30:.3g} GiB, of at most {MOST_BYTES / 2**30:.3g} GiB"
        why = f"{told}; {large[0].line} was not asked again for its {size}; let `supports` refuse it"
        return Checked("skipped", f"{CANNOT_TELL} whether a refusal stands: {why}")
    return Checked("error", f"{told}; it was refused once, but {answer}")


def note_refusal(backend: Backend, error: Exception) -> Checked | None:
    """Return the outcome of a refusal in the backend's process, None for others; the judge has still to ask again.

    backend: that was called. error: what it raised.
    """
    return Checked("unsupported", f"{REFUSED}: {describe_error(error)}") if is_refusal(backend, error) else None


def _list_asked(subject: Seen) -> list[tuple[Backend, Problem]]:
    """Return each backend with a problem that it was asked: for a network, those of the layers that it computes."""
    if isinstance(subject, BackendUnderTest):
        return [(subject.backend, subject.problem)]
    work = subject.problem.work
    pairs = ((subject.computer(node), one) for node in subject.network.nodes for one in problems_of(node, work))
    return list(dict.fromkeys(pairs))


def _ask_again(subject: Seen, backend: Backend, problem: Problem) -> str | None:
    """Ask a backend a problem on other contents, by its plain method. Return why a refusal does not stand, or None."""
    for data in OTHERS:
        other = problem.with_(data=data, seed=problem.seed ^ ANOTHER)
        one = subject.alone(backend, other) if isinstance(subject, NetworkUnderTest) else subject
        try:
            one.run(other, make_arrays(other))
        except Exception as error:
            if not is_refusal(backend, error):
                return f"raised something else when it was asked again: {error}"
        else:
            return f"the same problem was answered on other contents: {other.line}"
    return None
