"""Asking a backend in this process what a worker would be asked."""

from functools import partial

from harness.plugins.manager import Registry
from harness.worker.host.execute import choose_subject, prepare
from harness.worker.outcome import check
from harness.worker.protocol import Prepare

NOBODY = Registry()


def ask(backend, law, line, registry=NOBODY):
    """Outcome of a law on a problem line."""
    return check(partial(choose_subject, registry, backend, line), law)


def make_ready(backend, line, registry=NOBODY):
    """A session for a problem line, and what became of it."""
    return prepare(partial(choose_subject, registry, backend, line), Prepare(problem=line, number=0))
