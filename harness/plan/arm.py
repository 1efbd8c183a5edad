"""The arm: one side of a comparison, a backend in an environment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

from harness.errors import UsageError

# No revision holds a colon, so that these never begin one.
INTERPRETER, INSTALLED, BUILD = "@env:", "@installed:", "@build:"
WANTED = (
    "BACKEND, BACKEND@REVISION, BACKEND@env:PATH, BACKEND@installed:PATH or BACKEND@REVISION@build:, "
    "with a label as in NAME=BACKEND"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """Where a backend comes from: a git revision, an interpreter or its virtual environment; with neither, here.

    installed: the backend is the one that is installed in the interpreter, and none of this checkout's sources.
    build: a virtual environment is made for the revision, and the revision installed in it with `extras`.
    """

    revision: str = ""
    interpreter: str = ""
    installed: bool = False
    build: bool = False
    extras: str = ""

    @property
    def elsewhere(self) -> bool:
        """Whether it is another one than that of the command itself."""
        return bool(self.revision or self.interpreter)

    @property
    def libraries(self) -> str:
        """Whose libraries it has, as on the command line; empty where they are those of here."""
        return replace(self, revision="").text

    @property
    def text(self) -> str:
        """As it stands behind a backend's name on the command line."""
        text = f"@{self.revision}" if self.revision else ""
        if self.build:
            return text + BUILD + self.extras
        return text + (INSTALLED if self.installed else INTERPRETER) + self.interpreter if self.interpreter else text


HERE = Environment()


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """A backend in an environment, under a name that no other arm of the run has.

    family: arms of one family are interleaved on each problem, and the first of them is the base of the others.
    """

    name: str
    backend: str
    environment: Environment = HERE
    family: str = ""

    @property
    def text(self) -> str:
        """As the command line takes it, without a label."""
        return self.backend + self.environment.text


def parse_arm(text: str) -> Arm:
    """Read an arm as the command line has it; without a label, the text is its name. Raises UsageError."""
    label, body = _split_label(text)
    marker = next((one for one in (INTERPRETER, INSTALLED, BUILD) if one in body), "")
    place, _, rest = body.partition(marker) if marker else (body, "", "")
    backend, at, revision = place.partition("@")  # a revision may hold more of them: HEAD@{1}, @{upstream}
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
        build=marker == BUILD, extras=rest if marker == BUILD else "",
    )  # fmt: skip
    return Arm(name=text if label is None else label, backend=backend, environment=environment)


def parse_arms(texts: Iterable[str]) -> tuple[Arm, ...]:
    """Read several arms. Raises UsageError, also where two of them have one name."""
    arms = tuple(parse_arm(text) for text in texts)
    for name, count in Counter(arm.name for arm in arms).items():
        if count > 1:
            raise UsageError(
                f"arms: got the name '{name}' {count} times, wanted a name of its own for each; "
                f"label them, such as a={name.partition('=')[2] or name}"
            )
    return arms


def _split_label(text: str) -> tuple[str | None, str]:
    """The label and the rest; an equals sign behind an at sign belongs to a path or a revision."""
    label, equals, body = text.partition("=")
    if not equals or "@" in label:
        return None, text
    if not label or any(c.isspace() or c == "/" for c in label):
        raise _refuse(text, f"label '{label}' is not a word without blanks and slashes")
    return label, body


def _refuse(text: str, why: str) -> UsageError:
    return UsageError(f"arm: got '{text}' ({why}), wanted {WANTED}")
