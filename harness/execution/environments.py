"""Make the environments of arms: worktrees of revisions, interpreters, and how a worker is started in each.

The instrument is the same for all arms: `harness` and the built-in laws are those of the calling process. Only the
measured code (`backends`, modules and files of plugins) comes from the arm's environment.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

import msgspec

from harness.errors import DAMAGED, UnbuiltError, UsageError
from harness.execution.abandoned import open_own_folder, remove_abandoned
from harness.execution.built_sources import commit_checkout, open_sources
from harness.execution.provenance import Origins, Side, list_installed
from harness.execution.shared_files import forget
from harness.git import (
    describe_checkout,
    find_repository,
    list_files,
    names_file,
    names_library,
    open_worktree,
    resolve_revision,
)
from harness.plan.arm import Arm, Environment
from harness.plugins.hookspecs import PROJECT
from harness.plugins.manager import BUILTIN
from harness.plugins.searching import find_module_file

INSTRUMENT = ("harness", "suites")
IMPLEMENTATIONS = {name.partition(".")[0] for name in BUILTIN} - {"suites", "reports"}
NEEDED = ("numpy", "msgspec", "pluggy")
OLDEST = (3, 11)
PROBE_S = 60.0
Answer = tuple[dict[str, str], dict[str, str], dict[str, str]]  # of PROBE: versions, broken packages, origins
PROBE = f"""
import importlib.util, json, platform, sys
versions, broken, origins = {{"python": platform.python_version()}}, {{}}, {{}}
for name in {NEEDED!r}:
    try:
        if sys.argv[1] == "import":
            importlib.import_module(name)
        from importlib.metadata import version
        versions[name] = version(name)
    except Exception as error:
        broken[name] = type(error).__name__ + ": " + " ".join(str(error).split())
for name in sys.argv[2:]:
    spec = importlib.util.find_spec(name)
    origins[name] = "" if spec is None else spec.origin or [*spec.submodule_search_locations][0]
print(json.dumps([versions, broken, origins]))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A prepared environment: a worker there runs `interpreter -P -m harness.worker`, with these settings.

    variables: environment variables added to the process's own.
    folder: working directory of the worker.
    plugins: `--plugin` arguments with the paths that are valid there.
    names: by name here, the plugins that have another name there.
    tree: folder of the sources that it runs; "" if there are none.
    home: of the environment in which the backend is installed; "" if it runs from sources.
    revision: full hash; "" outside a repository.
    dirty: whether files differ from the revision.
    versions: of Python and of the packages that every worker needs.
    what: description of all of this for users.
    """

    interpreter: str
    variables: dict[str, str]
    folder: str
    plugins: tuple[str, ...]
    names: Mapping[str, str]
    tree: str = ""
    home: str = ""
    revision: str = ""
    dirty: bool = False
    versions: Mapping[str, str] = field(default_factory=dict)
    what: str

    def name_of(self, plugin: str) -> str:
        """Return the name that a plugin has there."""
        return self.names.get(plugin, plugin)


@contextmanager
def open_places(
    environments: Iterable[Environment], plugins: Sequence[str], tell: Callable[[str], None] = lambda text: None
) -> Iterator[dict[Environment, Place]]:
    """Make every environment; they are removed at the end in any case.

    environments: without settings; duplicates are made once.
    plugins: `--plugin` arguments.
    tell: receives a line before each long step.
    Raises UsageError for an unknown revision, a revision without a needed file, one that does not build, or an
    interpreter that cannot run a worker.
    """
    wanted = tuple(dict.fromkeys(environments))
    if not wanted:
        yield {}
        return
    interpreters = {e: _find_interpreter(e.interpreter) for e in wanted}
    repository = find_repository(plugins)
    hashes = {e.revision: resolve_revision(repository, e.revision) for e in wanted if e.revision}
    with ExitStack() as stack:
        if repository is not None:
            remove_abandoned(repository)
        root = stack.enter_context(open_own_folder())
        instrument = _link_instrument(root / "instrument")
        trees: dict[str, Path] = {}
        places: dict[Environment, Place] = {}
        for environment in wanted:
            interpreter, tree, alone = interpreters[environment], None, environment.installed
            if environment.build or environment.command:
                revision = hashes.get(environment.revision, "") or commit_checkout(repository, environment.command)
                assert repository is not None, "a revision was resolved in it"
                built = open_sources(environment, repository, revision, interpreter, tell)
                tree, interpreter, alone = built.tree, built.interpreter, built.alone
            elif environment.revision:
                assert repository is not None, "a revision was resolved in it"
                revision = hashes[environment.revision]
                if revision not in trees:  # git keeps worktrees by the last part of their paths
                    path = root / f"{root.name}-{revision[:12]}"
                    trees[revision] = stack.enter_context(open_worktree(repository, revision, path))
                tree = trees[revision]
            site = _Site(environment, repository, tree, instrument, Path(interpreter).parents[1] if alone else None)
            places[environment] = _make_place(site, interpreter, plugins, hashes.get(environment.revision, ""))
        yield places


def check_environments(environments: Iterable[Environment], plugins: Sequence[str]) -> None:
    """Raise UsageError now where open_places would raise it for an interpreter, a revision or a file; makes nothing."""
    repository = find_repository(plugins)
    for environment in dict.fromkeys(environments):
        _find_interpreter(environment.interpreter)
        if environment.revision:
            revision = resolve_revision(repository, environment.revision)
            assert repository is not None, "a revision was resolved in it"
            tree = repository / f"{revision}:"  # no folder: its files are known from the listing
            site = _Site(environment, repository, tree, tree, None, list_files(repository, revision))
            _find_files(site, plugins)
            if not (environment.build or environment.installed):  # else the sources may have any layout
                _find_own_modules(site, plugins)


def find_origins(arms: Sequence[Arm], places: Mapping[Environment, Place], plugins: Sequence[str]) -> Origins | None:
    """Return the required origins of each arm's files; None if no arm comes from another environment.

    places: prepared environments, by environment without settings.
    plugins: `--plugin` arguments.
    """
    if not any(arm.environment.elsewhere for arm in arms):
        return None
    forget()
    sides = {}
    for arm in arms:
        place, revision = places[arm.environment.place], arm.environment.revision
        sides[arm.name] = Side(
            family=arm.family, revision=place.revision if revision else "",
            tree=Path(place.tree) if place.tree else None, home=Path(place.home) if place.home else None,
        )  # fmt: skip
    shared = (path.parent for name in INSTRUMENT if (path := find_module_file(name)) is not None)
    repository = find_repository(plugins)
    installed = list_installed(repository) if repository else {}
    return Origins(sides=sides, repository=repository, instrument=tuple(shared), installed=installed)


@dataclass(frozen=True, slots=True)
class _Site:
    """Inputs from which a place is made.

    tree: worktree of the revision; None if files are taken from this checkout.
    instrument: folder with links to the packages that all arms share.
    alone: virtual environment in which the backend is installed; None if it runs from sources.
    listed: files of the revision, relative to the tree; None if the tree itself shows them.
    """

    environment: Environment
    repository: Path | None
    tree: Path | None
    instrument: Path
    alone: Path | None
    listed: Collection[str] | None = None

    @property
    def home(self) -> Path | None:
        """Folder from which the modules of the repository must come; None if any will do."""
        return self.alone or self.tree

    @property
    def name(self) -> str:
        """Name of the environment in error messages."""
        revision, interpreter = self.environment.revision, self.environment.interpreter
        if revision:
            return f"revision '{revision}'"
        return f"environment '{interpreter}'" if interpreter else "this checkout"

    def owns(self, path: Path) -> bool:
        """Return True if the place has its own version of a file; installed packages belong to no revision."""
        installed = {"site-packages", "dist-packages"} & set(path.parts)
        return self.home is not None and self.repository in path.parents and not installed

    def map(self, path: Path) -> Path:
        """Return the counterpart of a path, which need not exist; the path itself if it lies outside the repository."""
        path = path.resolve()
        if self.tree is None or self.repository is None or not path.is_relative_to(self.repository):
            return path
        return self.tree / path.relative_to(self.repository)

    def has(self, path: Path) -> bool:
        """Return True if a path of the tree is there, or is a library that a build may still make."""
        if self.listed is None or self.tree is None:
            return path.exists()
        made = bool(self.environment.command) and names_library(path.name)
        return made or path.relative_to(self.tree).as_posix() in self.listed

    def demand(self, path: Path) -> Path:
        """Return the counterpart of a file. Raises UsageError if the revision has none."""
        there = self.map(path)
        if there != path and not self.has(there):
            assert self.repository is not None, "otherwise it is its own counterpart"
            build = "make it with --build-command" if names_library(path.name) else "commit it"
            if names_library(path.name) and self.environment.command:
                build = f"`{self.environment.command}` did not make it"
            raise UnbuiltError(
                f"{self.name} has no file '{path.relative_to(self.repository)}'; wanted one that has the plugin: "
                f"{build}, or move it out of {self.repository} to use it for all arms (gate --base-broken ok needs no "
                "base)"
            )
        return there


def _make_place(site: _Site, interpreter: str, plugins: Sequence[str], known: str) -> Place:
    """Describe a prepared environment; `known` is the revision of its sources, "" to ask git."""
    files, there = _find_files(site, plugins)
    modules = _find_own_modules(site, plugins)
    here = Path.cwd()
    variables = {"PYTHONPATH": os.pathsep.join(_search_path(site, here, modules))}
    versions = _probe(site, interpreter, variables, modules)
    folder = site.map(here)
    checkout = site.repository if site.environment.copied or not site.alone else None
    revision, dirty = (known, False) if known else describe_checkout(checkout)
    short = f" ({revision[:12]}{', dirty' if dirty else ''})" if revision else ""
    of = f" of {interpreter}" if site.environment.interpreter else ""
    where = f"revision {site.environment.revision}" if site.tree else "this checkout" if revision else "this folder"
    where = f"what is installed in {site.alone}" if site.alone and not site.tree else where
    return Place(
        interpreter=interpreter,
        variables=variables,
        folder=str(folder if folder.is_dir() else site.tree or here),
        plugins=tuple(there.get(name, name) for name in plugins),
        tree=str(tree.resolve()) if (tree := site.tree or (None if site.alone else site.repository)) else "",
        home=str(site.alone.resolve()) if site.alone else "",
        names={str(path): there[name] for name, path in files.items() if str(path) != there[name]},
        revision=revision,
        dirty=dirty,
        versions=versions,
        what=f"{where}{short}, Python {versions['python']}{of}",
    )


def _find_files(site: _Site, plugins: Sequence[str]) -> tuple[dict[str, Path], dict[str, str]]:
    """Files of plugins here, and their counterparts. Raises UsageError where a revision has none."""
    named = () if site.environment.idle else plugins
    files = {name: Path(name).expanduser().resolve() for name in named if names_file(name)}
    return files, {name: str(site.demand(path)) for name, path in files.items()}


def _search_path(site: _Site, here: Path, modules: Mapping[str, Path]) -> list[str]:
    """Return folders searched before those of the interpreter; none of the checkout if a revision is wanted."""
    given = [site.map(here / entry) for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    if site.alone is not None:
        own = {root for root in (site.repository, site.tree) if root is not None}
        folders = [folder for folder in given if not own & {folder, *folder.parents}]
    else:
        roots = [] if site.tree is None else list(dict.fromkeys([site.tree, site.tree / site.environment.package]))
        folders = [folder for root in roots for folder in (root, root / "src")]
        folders += [site.map(here), *(site.map(root) for root in modules.values()), *given]
    return list(dict.fromkeys([str(site.instrument), *(str(folder) for folder in folders if folder.is_dir())]))


def _find_own_modules(site: _Site, plugins: Sequence[str]) -> dict[str, Path]:
    """Return the top-level modules that must come from the place, with the folders from which they are imported here.

    Raises UsageError if the sources of a revision lack one.
    """
    if site.environment.idle:
        return {}
    named = [name for name in plugins if not names_file(name)]
    entries = [entry.module for entry in metadata.entry_points(group=PROJECT)]
    found = {}
    for name in (*IMPLEMENTATIONS, *entries, *named):
        path = find_module_file(name)
        if path is not None and (site.owns(path) or (site.alone and name in named)):
            if site.alone is None:
                site.demand(path)
            inner = path.parent if path.name == "__init__.py" else path
            found[name.partition(".")[0]] = inner.parents[name.count(".")]
    return found


def _link_instrument(folder: Path) -> Path:
    """Make a folder of links to the packages that all arms share, so that neighbouring packages are not importable."""
    folder.mkdir()
    for name in INSTRUMENT:
        path = find_module_file(name)
        if path is not None:
            (folder / name).symlink_to(path.parent, target_is_directory=True)
    return folder


def _find_interpreter(text: str) -> str:
    """Return the path of an interpreter; links are kept, since Python finds a virtual environment by its link."""
    if not text:
        return sys.executable
    path = Path(text).expanduser()
    if path.is_dir():
        path /= "bin/python"
    elif "/" not in text and not path.is_file():
        path = Path(shutil.which(text) or text)
    if not os.access(path, os.X_OK):
        raise UsageError(
            f"interpreter not found: got '{text}', wanted the folder of a virtual environment or a Python interpreter"
        )
    return str(path.absolute())


def _probe(site: _Site, interpreter: str, variables: Mapping[str, str], modules: Iterable[str]) -> dict[str, str]:
    """Run the interpreter once: check where it finds the plugins' modules; return the versions a worker needs."""
    thorough = "trust" if interpreter == sys.executable else "import"  # this process has imported them already
    command, said = [interpreter, "-c", PROBE, thorough, *modules], ""
    try:
        done = subprocess.run(
            command, env={**os.environ, **variables}, cwd=site.instrument, capture_output=True, text=True,
            stdin=subprocess.DEVNULL, timeout=PROBE_S,
        )  # fmt: skip
        said = " ".join((done.stderr or done.stdout).strip().splitlines()[-1:])
        versions, broken, origins = _read_answer(done.stdout)
        release = tuple(map(int, versions["python"].split(".")[:2]))
    except (OSError, *DAMAGED, subprocess.TimeoutExpired) as error:
        why = f"it says {said!r}" if said else f"{type(error).__name__} when it was run"
        raise UsageError(f"interpreter: got '{interpreter}', wanted one that runs Python programs; {why}") from None
    if release < OLDEST:
        raise UsageError(
            f"interpreter: '{interpreter}' is Python {versions['python']}, wanted {OLDEST[0]}.{OLDEST[1]}+"
        )
    if broken:
        raise UsageError(
            f"interpreter: '{interpreter}' cannot import {', '.join(broken)} ({next(iter(broken.values()))}), wanted "
            f"what every worker needs; install it with `{interpreter} -m pip install {' '.join(broken)}`"
        )
    for name, origin in origins.items():
        _check_origin(site, interpreter, name, origin)
    return dict(versions)


def _read_answer(said: str) -> Answer:
    """Read the last line of what PROBE prints. Raises ValueError if it is something else."""
    last = "".join(said.splitlines()[-1:])
    found: Answer = msgspec.convert(json.loads(last), Answer)
    return found


def _check_origin(site: _Site, interpreter: str, name: str, origin: str) -> None:
    """Raise UsageError if a module is missing or is not the place's own."""
    assert site.home is not None, "only revisions and installed backends have modules of their own"
    if not origin:
        raise UnbuiltError(
            f"{site.name} has no module '{name}'; wanted the plugin in both arms: install it in '{interpreter}', or "
            "leave out its backends (gate --base-broken ok needs no base)"
        )
    if not Path(origin).resolve().is_relative_to(site.home.resolve()):
        wanted = "the revision" if site.alone is None else "what is installed there"
        raise UsageError(
            f"{site.name}: module '{name}' comes from '{origin}', wanted it from {wanted}; the installation of {name} "
            f"in '{interpreter}' comes first, remove it there"
        )
