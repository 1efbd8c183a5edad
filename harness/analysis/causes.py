"""Results by cause: cells that show one fault are one finding, with a count and their smallest problem."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from harness.record.run import Result

T = TypeVar("T")
Key = tuple[object, ...]
SIZES = re.compile(r"=(\d+(?:x\d+)+)")
PLACE = re.compile(r"\([^()]+:\d+\)$")  # file and line at the end of a reason
FAULT = re.compile(r"\bgot (?:the wanted|each) .*", re.DOTALL)  # what a wrong answer is, in the note of a deviation
ARRAY = re.compile(r"(?:^|, \w+: )(d[bwx]|y)\b")  # at the begin of `Deviation.what`, or behind layer and operator
AMOUNT = re.compile(r"(?<=wanted value )(times|plus|minus) (-?\d+(?:\.\d*)?(?:e[-+]?\d+)?)(?:/([1-9]\d*))?")
NUMBERS = re.compile(r"(?<![\w.])[-+]?\d[\d.,x]*(?:e[-+]?\d+)?(?!\w)")
TELLING = re.compile(r"\b(?:Errno|signal|code) -?\d+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause(Generic[T]):
    """Cells with one cause.

    cells: the one with the smallest problem first.
    laws: the law of the cells, "time" for timed cells, or how many laws there are.
    """

    cells: tuple[T, ...]
    laws: str

    @property
    def first(self) -> T:
        """The cell with the smallest problem."""
        return self.cells[0]


def group_by_cause(cells: Iterable[T], key: Callable[[T], Key], result: Callable[[T], Result]) -> list[Cause[T]]:
    """Group cells by cause, in the order of their first cells.

    key: the cause of a cell. result: its result, whose problem has a size.
    """
    groups: dict[Key, list[T]] = {}
    for cell in cells:
        groups.setdefault(key(cell), []).append(cell)
    made = []
    for found in groups.values():
        cells = tuple(sorted(found, key=lambda cell: measure_line(result(cell).problem)))
        made.append(Cause(cells=cells, laws=name_laws([result(cell) for cell in cells])))
    return made


def find_cause(result: Result) -> Key:
    """Return what is the same in all results with one cause.

    An answer whose fault has a name, such as a bias that was subtracted: arm, operator, that name, with the factor or
    the constant if it has one, and which output is wrong, whatever the law.
    Any other answer that differs: arm, law, and which elements of which array are wrong. Anything else, such as an
    exception or a missing library: arm, outcome and reason, whatever the law. Numbers in texts do not count, except for
    those of signals, error codes, and the line of the code at the end.
    """
    found = result.deviation
    if result.outcome != "failed" or found is None:
        return result.arm, result.outcome, simplify(result.reason or "")
    if named := FAULT.search(found.note):
        return result.arm, result.problem.partition(" ")[0], find_array(found.what), name_fault(named[0])
    return result.arm, result.law, found.kind, simplify(found.what), simplify(found.note)


def group_results(results: Iterable[Result]) -> list[Cause[Result]]:
    """Group wrong results by cause."""
    return group_by_cause(results, find_cause, lambda result: result)


def find_array(what: str) -> str:
    """Return the output that a deviation is about, y, dx, dw or db; empty if it says none of them.

    what: of the deviation.
    """
    found = ARRAY.search(what)
    return found[1] if found else ""


def name_fault(text: str) -> str:
    """Return the name of a fault without numbers of a cell; a factor or a constant is kept with 3 digits.

    text: the fault in words.
    """
    amount = AMOUNT.search(text)
    if amount is None:
        return simplify(text)
    kept = f"{amount[1]} {float(amount[2]) / float(amount[3] or 1):.3g}"
    return simplify(text[: amount.start()]) + kept + simplify(text[amount.end() :])


def simplify(reason: str) -> str:
    """Return a reason without the numbers that differ from cell to cell."""
    place = PLACE.search(reason)
    text = reason[: place.start()] if place else reason
    parts = (NUMBERS.sub("#", part) for part in TELLING.split(text))
    return "".join((*parts, *TELLING.findall(text), place[0] if place else ""))


def measure_line(line: str) -> int:
    """Return the number of elements of the arrays that a problem line names, to order problems by size."""
    return sum(math.prod(map(int, sizes.split("x"))) for sizes in SIZES.findall(line))


def name_laws(results: Sequence[Result]) -> str:
    """Return the law of the results, "time" or "instructions" for cells without one, or how many there are."""
    found = (result.law or ("instructions" if result.kind == "count" else "time") for result in results)
    names = list(dict.fromkeys(found))
    if len(names) == 1:
        return names[0]
    others = "".join(f" and {name}" for name in ("time", "instructions") if name in names)
    laws = len([name for name in names if name not in ("time", "instructions")])
    return f"{laws} law{'' if laws == 1 else 's'}{others}"
