"""A workload: the problems in a model with their multiplicities, the calls that were left out, and its file format.

The file is JSON with `format`, `source`, `problems` (each with `name`, `line` and `multiplicity`) and `left_out` (each
with `name`, `operator`, `count` and `reason`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

import msgspec

from harness.errors import DAMAGED, HarnessError, UnwritableError, UsageError
from harness.machine.files import read_file
from harness.networks.architecture import Architecture
from harness.networks.problem import NetworkProblem
from harness.plan.suite import NamedProblem
from harness.plan.task import Task, parse_task
from harness.problems.line import parse_line
from harness.problems.problem import Problem
from harness.problems.window import Sizes, Window

FORMAT = 1  # 1: the first
MOST_TEXT_BYTES = 2**21  # of a text file, whose lines are read in about 4 s
WANTED = "a file that `python -m harness capture` writes, or a text file with a problem line in each line"


class LeftOut(msgspec.Struct, frozen=True, kw_only=True):
    """Calls that cannot be expressed as a problem, with the reason; `operator` is the model's own term."""

    name: str
    operator: str
    reason: str
    count: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """Distinct problems, each named after the first layer that contains it, and the calls that were left out.

    source: the model, as named by the user. note: what users should know about the capture.
    """

    source: str
    problems: tuple[NamedProblem, ...]
    left_out: tuple[LeftOut, ...] = ()
    note: str = ""

    @property
    def flops(self) -> int:
        """Operations of all calls by the direct algorithm."""
        return sum(named.multiplicity * named.problem.flops for named in self.problems)


@dataclass(slots=True)
class Tally:
    """Counter of equal calls while a model is read, in order of first occurrence."""

    taken: dict[Problem, tuple[str, int]] = field(default_factory=dict)
    left: dict[LeftOut, int] = field(default_factory=dict)

    def take(self, name: str, problem: Problem) -> None:
        """Count a call that is a problem."""
        first, count = self.taken.get(problem, (name, 0))
        self.taken[problem] = (first, count + 1)

    def leave(self, name: str, operator: str, reason: str) -> None:
        """Count a call that is no problem.

        name: of the layer. operator: the model's own term. reason: for the user.
        """
        item = LeftOut(name=name, operator=operator, reason=reason)
        self.left[item] = self.left.get(item, 0) + 1

    def finish(self, source: str, note: str = "") -> Workload:
        """Return the workload."""
        named = [NamedProblem(name=n, problem=p, multiplicity=count) for p, (n, count) in self.taken.items()]
        left_out = [msgspec.structs.replace(item, count=count) for item, count in self.left.items()]
        return Workload(source=source, problems=tuple(named), left_out=tuple(left_out), note=note)


# --- common to both kinds of models ------------------------------------------------------------------------------


def settle_divisor(window: Window) -> Window:
    """Count padding in the divisor if there is none, so that equal averages are equal problems."""
    return window if any(map(any, window.padding)) else replace(window, count_include_pad=True)


def whole_window(spatial: Sizes, out: Sizes) -> Window | None:
    """Return the non-overlapping window from the spatial sizes `spatial` to `out`; None if they are not divisible."""
    if any(p < 1 or n % p for n, p in zip(spatial, out, strict=True)):
        return None
    kernel = tuple(n // p for n, p in zip(spatial, out, strict=True))
    return Window.of(len(spatial), stride=kernel, kernel=kernel)


def gradient_problems(forward: Problem, *, x: bool = True, w: bool = True, b: bool = False) -> Iterator[Problem]:
    """Yield the problems of the gradients with respect to x, w and b.

    conv_transpose is the input gradient of a convolution. Its gradients are that convolution applied to dy (for x), and
    that convolution's kernel gradient with x and dy exchanged (for w). The bias gradient sums dy, whatever the window.
    forward: problem of the forward operator. x, w, b: True for each gradient that is needed; pooling has x only.
    """
    wanted = {"dx": x, "dw": w, "db": b}
    for gradient in forward.operator.spec.gradients:
        if wanted[gradient.name]:
            problem = gradient.problem(forward)
            if gradient.name == "db" and forward.operator.spec.transposed:
                kernel = (forward.y[1], forward.y[1], *(1,) * forward.axes)
                problem = problem.with_(x=forward.y, w=kernel)
            yield problem


# --- the file ----------------------------------------------------------------------------------------------------


class _Entry(msgspec.Struct):
    line: str
    name: str = ""
    multiplicity: Annotated[int, msgspec.Meta(ge=1)] = 1


class _Version(msgspec.Struct):
    format: int


class _File(msgspec.Struct):
    format: int
    source: str
    problems: list[_Entry]
    left_out: list[LeftOut] = []


def write_workload(workload: Workload, path: Path, *, replace: bool = False) -> None:
    """Write the file.

    path: its location. replace: True to overwrite an existing file.
    Raises UsageError if the file exists and `replace` is False, or if it cannot be written.
    """
    entries = [
        {"name": named.name, "line": named.problem.line, "multiplicity": named.multiplicity}
        for named in workload.problems
    ]
    left_out = [{"name": o.name, "operator": o.operator, "count": o.count, "reason": o.reason}
                for o in workload.left_out]  # fmt: skip
    content = {"format": FORMAT, "source": workload.source, "problems": entries, "left_out": left_out}
    data = msgspec.json.format(msgspec.json.encode(content), indent=1) + b"\n"
    try:
        with path.open("wb" if replace else "xb") as file:
            file.write(data)
    except FileExistsError:
        raise UsageError(
            f"output: got '{path}', which exists, wanted a new file; name one with --output, or add --replace"
        ) from None
    except OSError as error:
        raise UnwritableError(f"output: got '{path}' ({error.strerror}), wanted a file that can be written") from None


def read_workload(path: str | Path) -> Workload:
    """Read the file. Raises UsageError, in one line, if it is invalid, empty, of a newer format, or an entry is bad."""
    try:
        data = read_file(path)
    except OSError as error:
        raise UsageError(f"problems: got '{path}' ({error.strerror}), wanted {WANTED}") from None
    try:
        version = msgspec.json.decode(data, type=_Version).format
        if version > FORMAT:
            raise UsageError(
                f"problems: got '{path}' of format {version}, wanted at most {FORMAT}; upgrade the harness"
            )
        file = msgspec.json.decode(data, type=_File)
    except DAMAGED as error:
        said = "it is empty" if not data.strip() else str(error)
        raise UsageError(f"problems: got '{path}' ({said}), wanted {WANTED}") from None
    if not file.problems:
        raise UsageError(f"problems: got '{path}', which has no problem in it, wanted one at least")
    problems = tuple(_read_entry(entry, number, path) for number, entry in enumerate(file.problems, 1))
    return Workload(source=file.source, problems=problems, left_out=tuple(file.left_out))


def read_lines(path: Path, networks: Mapping[str, Architecture]) -> list[NamedProblem]:
    """Read a text file with a problem in each line; blank lines and lines that begin with # do not count.

    path: of the file, with line ends of any system. networks: architectures by name, for lines of networks.
    Raises UsageError with the number of the first line that is no problem, or for a file without problems.
    """
    try:
        text = read_file(path, MOST_TEXT_BYTES).decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"problems: got '{path}' ({error.strerror}), wanted {WANTED}") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"problems: got '{path}' ({error}), wanted {WANTED}") from None
    named = []
    for number, line in enumerate(text.split("\n"), 1):  # not at other separators, which are no ends of lines
        if (line := line.strip()) and not line.startswith("#"):
            try:
                named += name_problems([line], networks)
            except HarnessError as error:
                raise UsageError(f"problems: line {number} of '{path}': {error}") from None
    if not named:
        raise UsageError(f"problems: got '{path}', which has no problem in it, wanted one at least")
    return named


def is_text(path: Path) -> bool:
    """Return True if a file is read as lines, and not as JSON: unless its first character is an opening bracket.

    A pipe or a device is not: its first bytes can be read once only, and opening it may wait for ever.
    """
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return file.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()[:1] not in (b"{", b"[", b"")
    except OSError:
        return False


def _read_entry(entry: _Entry, number: int, path: str | Path) -> NamedProblem:
    try:
        problem = parse_line(entry.line)
    except HarnessError as error:
        raise UsageError(f"problems: problem {number} ('{entry.name}') of '{path}': {error}") from None
    name = entry.name or f"given/{problem.operator}"
    return NamedProblem(name=name, problem=problem, multiplicity=entry.multiplicity)


def name_problems(
    problems: Sequence[str | Path | Task | NamedProblem], networks: Mapping[str, Architecture] | None = None
) -> list[NamedProblem]:
    """Name problems: a line gets a name for its operator or network; a Path stands for all problems of a file.

    networks: architectures by name, for lines of networks.
    """
    named: list[NamedProblem] = []
    for problem in problems:
        if isinstance(problem, Path):
            named.extend(read_lines(problem, networks or {}) if is_text(problem) else read_workload(problem).problems)
            continue
        if isinstance(problem, str):
            problem = parse_task(problem, networks or {})
        if isinstance(problem, NetworkProblem):
            problem = NamedProblem(name=f"{problem.architecture.name}/{problem.work}", problem=problem)
        elif isinstance(problem, Problem):
            problem = NamedProblem(name=f"given/{problem.operator}", problem=problem)
        named.append(problem)
    return named
