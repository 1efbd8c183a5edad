"""Arms: the sides of a comparison, each a backend in an environment."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from harness.backend.switches import SwitchName
from harness.errors import UsageError
from harness.problems.validation import WORD, is_word

# A revision cannot contain a colon, so these markers are never part of one.
INTERPRETER, INSTALLED, BUILD, SET = "@env:", "@installed:", "@build:", "@set:"
WANTED = (
    "BACKEND, BACKEND@REVISION, BACKEND@env:PATH, BACKEND@installed:PATH or BACKEND@REVISION@build:, "
    "with @set:NAME=VALUE behind it, and a label as in NAME=BACKEND"
)
Settings = tuple[tuple[str, str], ...]  # environment variables with their values, in the order of the command line
_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_NEXT = re.compile(r",(?=[A-Za-z_]\w*=)", re.ASCII)  # any other comma belongs to a value
_OTHERS = ("PYTHONPATH",)  # variables that the harness sets itself, in addition to those of thread counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """Origin of a backend: a git revision, an interpreter or its virtual environment; with neither, this environment.

    installed: whether the backend is the one installed in the interpreter, and not from this checkout's sources.
    build: whether to make a virtual environment for the revision, with the revision installed in it. Without a
        revision, the sources are a copy of the checkout, with its uncommitted changes.
    extras: of the package, for the build.
    package: folder of the package in the repository; "" for its top folder.
    command: shell command that is run in that folder of the revision's sources; "" for none.
    settings: environment variables of its processes.
    idle: whether nothing runs there, so that it needs no plugin.
    """

    revision: str = ""
    interpreter: str = ""
    installed: bool = False
    build: bool = False
    extras: str = ""
    package: str = ""
    command: str = ""
    settings: Settings = ()
    idle: bool = False

    @property
    def elsewhere(self) -> bool:
        """True if it is not the environment of the command itself."""
        return bool(self.revision or self.interpreter or self.copied)

    @property
    def copied(self) -> bool:
        """True if the sources are a copy of the checkout, so that building does not change the checkout."""
        return not self.revision and (self.build or bool(self.command))

    @property
    def place(self) -> Environment:
        """The environment without settings: arms that differ only in settings share a worktree and an interpreter."""
        return replace(self, settings=())

    @property
    def libraries(self) -> str:
        """Origin of its libraries, as on the command line; "" if they are those of this environment."""
        text = ""
        if self.build:
            text = BUILD + self.extras
        elif self.interpreter:
            text = (INSTALLED if self.installed else INTERPRETER) + self.interpreter
        return text + write_settings(self.settings)

    @property
    def text(self) -> str:
        """The part after a backend's name on the command line; a copy of the checkout is written like the checkout."""
        return write_settings(self.settings) if self.copied else self._revision + self.libraries

    @property
    def _revision(self) -> str:
        return f"@{self.revision}" if self.revision else ""


HERE = Environment()


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """A backend in an environment, with a name that is unique in the run.

    family: arms of one family are interleaved on each problem; the first one is the base of the others.
    switch: kind of instruction set that its settings lower, if `--isa` made the arm; "" otherwise.
    """

    name: str
    backend: str
    environment: Environment = HERE
    family: str = ""
    switch: Literal[SwitchName, ""] = ""

    @property
    def text(self) -> str:
        """The arm as on the command line, without a label."""
        return self.backend + self.environment.text


def parse_arm(text: str) -> Arm:
    """Parse an arm of the command line; without a label, the text is its name. Raises UsageError."""
    label, whole = _split_label(text)
    body, set_here, given = whole.partition(SET)
    settings = _read_settings(text, given) if set_here else ()
    marker = next((one for one in (INTERPRETER, INSTALLED, BUILD) if one in body), "")
    place, _, rest = body.partition(marker) if marker else (body, "", "")
    backend, at, revision = place.partition("@")  # a revision may contain more of them: HEAD@{1}, @{upstream}
    if not backend or any(c.isspace() or c == "/" for c in backend):
        raise _refuse(text, "no name of a backend")
    if at and (not revision.strip() or revision.startswith("-")):
        raise _refuse(text, "no revision after '@'")
    if marker in (INTERPRETER, INSTALLED) and not rest.strip():
        raise _refuse(text, f"no path after '{marker}'")
    if marker == BUILD and not revision:
        raise _refuse(text, "no revision that could be built")
    environment = Environment(
        revision=revision, interpreter="" if marker == BUILD else rest, installed=marker == INSTALLED,
        build=marker == BUILD, extras=rest if marker == BUILD else "", settings=settings,
    )  # fmt: skip
    return Arm(name=text if label is None else label, backend=backend, environment=environment)


def parse_arms(texts: Iterable[str]) -> tuple[Arm, ...]:
    """Parse several arms. Raises UsageError, also if two of them have the same name."""
    arms = tuple(parse_arm(text) for text in texts)
    for name, count in Counter(arm.name for arm in arms).items():
        if count > 1:
            raise UsageError(
                f"arms: got the name '{name}' {count} times, wanted a name of its own for each; "
                f"label them, such as a={name.partition('=')[2] or name}"
            )
    return arms


def write_settings(settings: Settings) -> str:
    """Return settings in the form of the command line; "" if there are none."""
    return SET + ",".join(f"{name}={value}" for name, value in settings) if settings else ""


def check_settings(arms: Iterable[Arm], reserved: Iterable[str]) -> None:
    """Raise UsageError if an arm sets a variable that the harness sets itself in this run.

    reserved: names of the variables of thread counts, if the run sets them.
    """
    threads = frozenset(reserved)
    for arm in arms:
        for name, _ in arm.environment.settings:
            if name in threads:
                raise _refuse(
                    arm.text, f"{name} is set by the harness in this run, from --threads or with one thread for laws",
                    "another variable; --threads sets how many threads all arms have",
                )  # fmt: skip
            if name in _OTHERS:
                raise _refuse(
                    arm.text, f"{name} is set by the harness",
                    "@env:PATH for another environment, or BACKEND@REVISION for other sources",
                )  # fmt: skip


def _read_settings(arm: str, text: str) -> Settings:
    """Parse variables and values of `A=1,B=2` or `A=1@set:B=2`. Raises UsageError."""
    found: dict[str, str] = {}
    for one in (part for word in text.split(SET) for part in _NEXT.split(word)):
        name, equals, value = one.partition("=")
        if not equals:
            raise _refuse(arm, f"'{one}' behind '{SET}' has no '='")
        if not _NAME.fullmatch(name):
            raise _refuse(arm, f"'{name}' is no name of an environment variable")
        if name in found:
            raise _refuse(arm, f"{name} is set twice")
        if any(marker in value for marker in (INTERPRETER, INSTALLED, BUILD)) or "\0" in value or "\n" in value:
            raise _refuse(arm, f"'{value}' is no value of {name}; '{SET}' stands last")
        found[name] = value
    return tuple(found.items())


def _split_label(text: str) -> tuple[str | None, str]:
    """Return the label and the rest; an equals sign after an at sign belongs to a path or a revision."""
    label, equals, body = text.partition("=")
    if not equals or "@" in label:
        return None, text
    if not is_word(label):
        raise _refuse(text, f"label '{label}' is not {WORD}")
    return label, body


def _refuse(text: str, why: str, wanted: str = WANTED) -> UsageError:
    return UsageError(f"arm: got '{text}' ({why}), wanted {wanted}")
