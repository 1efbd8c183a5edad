"""Find and load plugins independently: one that fails to load is reported and does not abort the command."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import re
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

import pluggy

from harness.backend.base import Backend
from harness.backend.declarations import check_backend
from harness.errors import BrokenInstallationError, UsageError, say_error, unknown
from harness.git import PLUGIN_FILES, names_file
from harness.plan.catalog import Catalog
from harness.plugins import hookspecs
from harness.plugins.entries import find_entries, find_file
from harness.plugins.locating import claim_package
from harness.plugins.searching import import_module, open_folder
from harness.problems.validation import WORD, is_word

if TYPE_CHECKING:
    from harness.analysis.reporter import Reporter

BUILTIN = (
    "backends.numpy_direct",
    "backends.scipy_signal",
    "backends.fft",
    "backends.im2col",
    "backends.sparse",
    "backends.torch_cudnn",
    "backends.torch_as_released",
    "backends.onnx_runtime",
    "backends.openvino_cpu",
    "backends.cupy_gpu",
    "backends.jax_cpu",
    "suites.correctness",
    "suites.consensus",
    "suites.gallery",
    "suites.known_bugs",
    "suites.learning",
    "suites.limits",
    "suites.networks",
    "suites.onnx",
    "suites.qualify",
    "suites.speed",
    "suites.whole",
    "reports.reporters",
)
Origin = Literal["built-in", "entry point", "--plugin"]
KINDS = ("backends", "suites", "laws", "problems", "networks", "reporters")
DIGITS = 8  # of the hash of a plugin's path, which makes the name of its module its own
RUN_HOOKS = ("result_recorded", "run_finished")


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginRow:
    """One plugin as `python -m harness plugins` shows it: its origin, what it registered, or why it is broken."""

    name: str
    origin: Origin
    state: Literal["loaded", "broken", "blocked"]
    reason: str | None = None
    backends: tuple[str, ...] = ()
    suites: tuple[str, ...] = ()
    laws: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    reporters: tuple[str, ...] = ()
    hooks: tuple[str, ...] = ()  # of runs
    file: str = ""  # of its source; empty if it is built in or has none

    @property
    def part(self) -> tuple[str, ...]:
        """Kinds of what is needed where runs are planned, judged or recorded: all that it brings but backends."""
        return tuple(kind for kind in (*KINDS, "hooks") if kind != "backends" and getattr(self, kind))


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """Description of a plugin by a process of its own: the row of the plugin, and its backends by name."""

    row: PluginRow
    backends: Mapping[str, Backend] = field(default_factory=dict)


Describe = Callable[[str, Origin], Description]


@dataclass(slots=True)
class Registry(Catalog):
    """A catalog filled by plugins, with their reporters and a row for every plugin.

    own_files: digests of what Python and the harness start with, from before any plugin ran; empty where plugins are
    trusted, None where they were loaded to read alone: no run is made with them.
    """

    reporters: dict[str, Reporter] = field(default_factory=dict)
    rows: list[PluginRow] = field(default_factory=list)
    manager: pluggy.PluginManager = field(default_factory=lambda: fresh_manager())
    own_files: Mapping[Path, bytes] | None = field(default_factory=dict)

    def find_parties(self, backends: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """Return the plugins that are judge and party, with the kinds of what they bring in addition.

        backends: names of the judged backends.
        Built-in plugins are the judge's own.
        """
        judged = set(backends)
        return {
            row.name: row.part
            for row in self.rows
            if row.origin != "built-in" and row.part and not judged.isdisjoint(row.backends)
        }

    def reporter(self, name: str) -> Reporter:
        """Return a reporter by the name of its format. Raises UsageError that lists the known names."""
        if name not in self.reporters:
            raise unknown("format", name, self.reporters, "python -m harness report --help")
        return self.reporters[name]

    def reporters_for(
        self,
        formats: Iterable[str] = (),
        writer: Literal["write", "write_comparison", "write_kills", "write_history"] = "write",
    ) -> list[Reporter]:
        """Return the reporters of these formats; without formats, the default ones that have the writer.

        writer: name of the method that will be called.
        Raises UsageError if a format is unknown or lacks the writer.
        """
        able = [one for one in self.reporters.values() if getattr(one, writer) is not None]
        chosen = [self.reporter(name) for name in formats]
        for reporter in chosen:
            if reporter not in able:
                wanted = ", ".join(sorted(one.name for one in able))
                raise UsageError(f"format: got '{reporter.name}', which cannot show this, wanted one of {wanted}")
        return chosen or [one for one in able if one.default]


def fresh_manager() -> pluggy.PluginManager:
    """Return a new manager with the hooks and no plugin; there is no global one."""
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    return manager


def load_plugins(
    extra: Iterable[str] = (),
    blocked: Iterable[str] = (),
    only: Iterable[str] | None = None,
    describe: Describe | None = None,
) -> Registry:
    """Load built-in plugins, entry points and `extra`.

    extra: modules, or paths of Python files or shared libraries.
    blocked: names of plugins that are not loaded.
    only: load only plugins with these names; None for all.
    describe: lets another process describe a plugin that is not built in. Its backends are then those of the
        description, and it is imported here only if it brings anything else. None imports all plugins here.
    Raises UsageError for an `extra` path that does not exist or a `blocked` name that no plugin has.
    """
    registry = Registry()
    _claim_packages()  # also where no built-in one is wanted
    blocked, wanted = set(blocked), None if only is None else set(only)
    sources = _sources(extra, blocked)
    for name in sorted(blocked - {name for name, _, _ in sources}):
        raise unknown("plugin", name, [name for name, _, _ in sources], "python -m harness plugins")
    for name, origin, source in sources:
        if name in blocked:
            registry.rows.append(PluginRow(name=name, origin=origin, state="blocked", reason="--no-plugin"))
        elif isinstance(source, UsageError):
            registry.rows.append(PluginRow(name=name, origin=origin, state="broken", reason=str(source)))
        elif wanted is None or name in wanted:
            described = None if describe is None or origin == "built-in" else describe(name, origin)
            file = str(find_file(source) or "") if origin != "built-in" else ""
            registry.rows.append(replace(_load_one(registry, name, origin, source, file, described), file=file))
    return registry


def _claim_packages() -> None:
    for package in dict.fromkeys(name.partition(".")[0] for name in BUILTIN):
        claim_package(package, [name.partition(".")[2] for name in BUILTIN if name.startswith(f"{package}.")])


def _sources(extra: Iterable[str], blocked: Collection[str]) -> list[tuple[str, Origin, Any]]:
    found: list[tuple[str, Origin, Any]] = [(name, "built-in", name) for name in BUILTIN]
    entries, clashes = find_entries(BUILTIN)
    found += [(entry.name, "entry point", entry) for entry in entries]
    for name in extra:
        if names_file(name):
            path = Path(name).expanduser().resolve()
            if not path.is_file():
                raise UsageError(
                    f"plugin file not found: got '{name}', wanted the path of a Python file or of a shared library"
                )
            found.append((str(path), "--plugin", path))
        elif not all(part.isidentifier() for part in name.split(".")):
            raise UsageError(
                f"plugin: got '{name}', wanted a module such as my_package.plugin, or a file ending in "
                f"{' or '.join(PLUGIN_FILES)}"
            )
        else:
            found.append((name, "--plugin", name))
    found = list({name: (name, origin, source) for name, origin, source in found}.values())
    return [*_leave_one_of_each_file(found, blocked), *((name, "entry point", error) for name, error in clashes)]


def _leave_one_of_each_file(
    found: Iterable[tuple[str, Origin, Any]], blocked: Collection[str]
) -> Iterator[tuple[str, Origin, Any]]:
    """Yield the sources without those of a file that --plugin names in another way: it is one plugin.

    found: names, origins and sources. blocked: names of entry points that are kept, so that their rows say so.
    """
    sources = list(found)
    explicit = [source for _, origin, source in sources if origin == "--plugin"]
    located = [(find_file(source), source) for source in explicit]
    first_of: dict[Path | None, Any] = {file: source for file, source in reversed(located) if file is not None}
    for name, origin, source in sources:
        file = None if origin == "built-in" else find_file(source)
        if origin == "--plugin":
            repeated = first_of.get(file, source) is not source
        else:
            named = origin == "entry point" and (source.value in explicit or (file in first_of and not source.attr))
            repeated = named and name not in blocked
        if not repeated:
            yield name, origin, source


def _load_one(
    registry: Registry, name: str, origin: Origin, source: Any, file: str, described: Description | None = None
) -> PluginRow:
    """Load one plugin; after an error, the row has the reason and nothing is registered."""
    if described is not None and described.row.state != "loaded":
        return described.row
    scratch = fresh_manager()
    try:
        collected = _Collected(registry, file)
        for backend in described.backends.values() if described is not None else ():
            collected.take("backends", backend)
        if described is None or described.row.part:
            module = importlib.import_module(name) if origin == "built-in" else _import(source)
            scratch.register(module, name)
            scratch.check_pending()
            if not scratch.get_hookcallers(module):
                raise UsageError("no hook found, wanted at least one function marked @harness.hookimpl")
            collected.call_hooks(scratch, backends=described is None)
            registry.manager.register(module, name)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a plugin may raise anything, including SystemExit; the command continues
        return PluginRow(name=name, origin=origin, state="broken", reason=_reason(error))
    for kind, items in collected.given.items():
        getattr(registry, kind).update(items)
    names = {kind: tuple(items) for kind, items in collected.given.items()}
    return PluginRow(
        name=name, origin=origin, state="loaded", backends=names["backends"], suites=names["suites"],
        laws=names["laws"], problems=names["problems"], networks=names["networks"], reporters=names["reporters"],
        hooks=tuple(hook for hook in RUN_HOOKS if getattr(scratch.hook, hook).get_hookimpls()),
    )  # fmt: skip


def _import(source: Any) -> ModuleType:
    """Import a plugin that is not built in."""
    open_folder()
    _claim_packages()  # a folder of the user's may have the name of one
    if isinstance(source, Path):
        return _import_file(source)
    if isinstance(source, str):
        return import_module(source)
    loaded = source.load()
    if not isinstance(loaded, ModuleType):
        raise UsageError(f"the entry point gives a {type(loaded).__name__}, wanted a module")
    return loaded


def _import_file(path: Path) -> ModuleType:
    """Import a plugin from its file, under a name that no other file has: pickles and `__module__` find it by that."""
    digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:DIGITS]
    stem = re.sub(r"\W", "_", path.stem)  # a dot would name a package
    name = f"harness_plugin_{stem}_{digest}"
    if path.suffix != ".py":
        return _wrap_library(name, path)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(spec.name, None)
        raise
    return module


def _wrap_library(name: str, path: Path) -> ModuleType:
    """Return a module that registers the backend of a shared library."""
    from harness.backend.compiled.backend import load_backend

    module, backend = ModuleType(name, f"The backend of {path}."), load_backend(path)

    def register_backends(register: Callable[[Backend], None]) -> None:
        register(backend)

    module.__dict__["register_backends"] = hookspecs.hookimpl(register_backends)
    return module


class _Collected:
    """Objects of one plugin by kind and name, all checked."""

    def __init__(self, registry: Registry, file: str) -> None:
        self.registry, self.file = registry, file
        self.given: dict[str, dict[str, Any]] = {kind: {} for kind in KINDS}

    def take(self, kind: str, item: Any) -> None:
        """Add an object. Raises UsageError for a name that is none, or taken."""
        name = getattr(item, "name", None)
        if not isinstance(name, str) or not is_word(name):
            raise UsageError(f"{type(item).__name__} has name {name!r}, wanted {WORD}")
        if name in self.given[kind] or name in getattr(self.registry, kind):
            raise UsageError(f"the name '{name}' is taken among {kind}{self._name_owner(kind, name)}")
        self.given[kind][name] = item

    def _name_owner(self, kind: str, name: str) -> str:
        """Return what has the name already, and what to do about it."""
        owner = next((row for row in self.registry.rows if name in getattr(row, kind)), None)
        if owner is None:
            return " by this plugin itself, wanted a new one"
        if owner.origin == "built-in":
            return f" by the built-in plugin {owner.name}, wanted a new one"
        return (
            f" by plugin {owner.name} of '{owner.file}', wanted another name in '{self.file}', or only one of them "
            f"(--no-plugin {owner.name})"
        )

    def call_hooks(self, scratch: pluggy.PluginManager, *, backends: bool) -> None:
        """Call the registering hooks of one plugin.

        backends: whether also that of backends, which may be known from a description.
        """
        from harness.analysis.reporter import Reporter
        from harness.laws.law import Law
        from harness.networks.architecture import Architecture
        from harness.plan.suite import ProblemSet, Suite

        def register_backend(backend: Backend) -> None:
            check_backend(backend)
            self.take("backends", backend)

        def register_typed(kind: str, wanted: type, item: Any) -> None:
            if not isinstance(item, wanted):
                raise UsageError(f"register_{kind}: got {item!r}, wanted a harness.{wanted.__name__}")
            self.take(kind, item)

        def register_suite(item: Any) -> None:
            if isinstance(item, Law):
                self.take("laws", item)
            else:
                register_typed("suites", Suite, item)

        if backends:
            scratch.hook.register_backends(register=register_backend)
        scratch.hook.register_suites(register=register_suite)
        scratch.hook.register_problems(register=partial(register_typed, "problems", ProblemSet))
        scratch.hook.register_networks(register=partial(register_typed, "networks", Architecture))
        scratch.hook.register_reporters(register=partial(register_typed, "reporters", Reporter))


def refuse_broken(registry: Registry) -> None:
    """Raise UsageError if a plugin that was named, with --plugin or in `plugins=`, is broken.

    Raises BrokenInstallationError if a built-in one is: without it, a run would be silent about what it did not ask.
    """
    for row in registry.rows:
        if row.state == "broken" and row.origin == "--plugin":
            raise UsageError(f"plugin {row.name} is broken: {row.reason}")
        if row.state == "broken" and row.origin == "built-in":
            raise BrokenInstallationError(
                f"the built-in plugin {row.name} is broken: {row.reason}; install the harness again, or leave it out "
                f"with --no-plugin {row.name}"
            )


def _reason(error: BaseException) -> str:
    said = say_error(error)
    return said.partition(": ")[2] if isinstance(error, UsageError) else said
