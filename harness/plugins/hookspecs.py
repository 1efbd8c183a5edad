"""The hooks of a plugin; each `register_*` hook gets a function `register`, to be called once for every object."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from harness.analysis.reporter import Reporter
    from harness.backend.base import Backend
    from harness.laws.law import Law
    from harness.networks.architecture import Architecture
    from harness.plan.suite import ProblemSet, Suite
    from harness.record.run import Result, Run

PROJECT = "harness"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def register_backends(register: Callable[[Backend], None]) -> None:
    """Register backends.

    :param register: takes one Backend object; its name must be new.
    """


@hookspec
def register_suites(register: Callable[[Suite | Law], None]) -> None:
    """Register suites, and the laws that they apply.

    :param register: takes one Suite or one Law; its name must be new among its kind.
    """


@hookspec
def register_problems(register: Callable[[ProblemSet], None]) -> None:
    """Register named problem sets.

    :param register: takes one ProblemSet; its name must be new.
    """


@hookspec
def register_networks(register: Callable[[Architecture], None]) -> None:
    """Register architectures of networks.

    :param register: takes one Architecture; its name must be new.
    """


@hookspec
def register_reporters(register: Callable[[Reporter], None]) -> None:
    """Register reporters, each of which writes one format.

    :param register: takes one Reporter; its name must be new.
    """


@hookspec
def result_recorded(run: Run, result: Result) -> None:
    """Receive each result after it was written to disk.

    :param run: the run so far, without its results.
    :param result: the result just recorded.
    """


@hookspec
def run_finished(run: Run) -> None:
    """Receive the run when it has ended, complete or not.

    :param run: the run with all results.
    """
