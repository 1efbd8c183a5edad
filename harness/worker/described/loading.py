"""Loading of plugins for a command: those of others are described by a process of their own each."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from harness.errors import DAMAGED, HarnessError, say_error
from harness.machine.own_files import digest_own_files
from harness.plugins.manager import Description, Origin, PluginRow, Registry, load_plugins
from harness.worker.described.backend import make_described
from harness.worker.described.process import Describer, NoAnswerError


def load_described(extra: Iterable[str] = (), blocked: Iterable[str] = (), *, runs: bool = True) -> Registry:
    """Load plugins as `load_plugins` does, and import none here that is not built in and has backends alone.

    extra: modules, or paths of Python files or shared libraries.
    blocked: names of plugins that are not loaded.
    runs: whether they may make a run, for which the files of the harness and of Python are read (27 ms).
    Raises UsageError as `load_plugins`.
    """
    names, before = tuple(extra), digest_own_files() if runs else None  # before any plugin runs
    registry = load_plugins(names, blocked, describe=partial(_describe, names))
    registry.own_files = before
    return registry


def _describe(extra: tuple[str, ...], name: str, origin: Origin) -> Description:
    """Describe a plugin; without an answer, or with impossible declarations, it is broken."""
    describer = Describer(extra, name)
    try:
        said = describer.describe()
        reason = said.reason
        backends = [make_described(describer, offer) for offer in said.backends]
    except NoAnswerError as error:
        reason = str(error)
    except (HarnessError, *DAMAGED) as error:
        reason = f"its process declares what cannot be: {say_error(error)}"
    if reason is not None:
        describer.rest()
        return Description(row=PluginRow(name=name, origin=origin, state="broken", reason=reason))
    if not any(backend.answers_for_problems for backend in backends):
        describer.rest()
    row = PluginRow(
        name=name, origin=origin, state="loaded", backends=tuple(one.name for one in backends), suites=said.suites,
        laws=said.laws, problems=said.problems, networks=said.networks, reporters=said.reporters, hooks=said.hooks,
    )  # fmt: skip
    return Description(row=row, backends={one.name: one for one in backends})
