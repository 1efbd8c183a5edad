"""Voting without a reference: find the backends whose answers to one problem are contradicted by a majority.

Two backends agree if their outputs differ by at most the sum of both declared bounds: each promises to be within its
bound of the exact result, so two that keep their promises are no further apart. Answers that all agree with each other
form a cluster; a cluster of more than half of at least three voters outvotes the rest.

A majority can be wrong: backends that share a library, or a mistake, outvote the one that is right. A verdict is a
suspicion that says where to look; the laws decide. The size |w| * |x| of the bounds comes from the reference on
absolute values; the compared numbers do not.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from harness.laws.deviation import Deviation, Kind, compare_arrays, statement, worst_of
from harness.laws.diagnosis.pattern import describe_pattern
from harness.laws.error_bounds import is_exact, magnitude, rounding_bound, sum_bound
from harness.laws.nan_reach import find_nan_reach
from harness.problems.arrays import Array
from harness.problems.data import make_arrays
from harness.problems.numerics import Numerics
from harness.problems.problem import Problem

Answer = tuple[Mapping[str, Array], Numerics]
Comparable = Callable[[str, str, str], bool]
Names = tuple[str, ...]
VOTERS = 3  # fewest voters with which one can be outvoted


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Result of a vote.

    majority: names that agree with each other and outvote the rest; () if undecided.
    odd: for each name that contradicts the majority, its deviation from one member, with the pattern in the note.
    silent: names about which the vote shows nothing: nothing to compare with the majority, or only vacuous bounds.
    clusters: all maximal sets of names that agree with each other, the largest first; they may overlap.
    undecided: whether no single cluster outvotes the rest.
    contradiction: whether any two answers contradict each other; if decided, whether any contradicts the majority.
    text: all of this in words.
    """

    majority: Names = ()
    odd: Mapping[str, Deviation] = field(default_factory=dict)
    silent: Names = ()
    clusters: tuple[Names, ...] = ()
    undecided: bool = True
    contradiction: bool = False
    text: str = ""

    @property
    def unanimous(self) -> bool:
        """True if the vote is decided and every voter belongs to the majority."""
        return not self.undecided and not self.odd and not self.silent


@dataclass(frozen=True, slots=True)
class _Ballot:
    """One answer prepared for comparison: float64 outputs, and the allowed error of each."""

    outputs: dict[str, Array]
    allowed: dict[str, Array | float]
    numerics: Numerics

    @property
    def slack(self) -> float:
        """Largest allowed error."""
        return max(
            (float(np.max(np.nan_to_num(a, nan=math.inf), initial=0.0)) for a in self.allowed.values()), default=0.0
        )

    def indexes_like(self, other: _Ballot) -> bool:
        """Return True if both declare the same index for ties and NaN in a window."""
        mine, theirs = self.numerics, other.numerics
        return (mine.ties, mine.nan_index) == (theirs.ties, theirs.nan_index)


@dataclass(frozen=True, kw_only=True)  # no slots, for the cached property
class _Poll:
    """All ballots on one problem, and the deviation of each pair; None if nothing was comparable."""

    problem: Problem
    ballots: dict[str, _Ballot]
    comparable: Comparable | None
    arrays: Mapping[str, Array]
    pairs: dict[frozenset[str], Deviation | None] = field(default_factory=dict)

    @property
    def bias(self) -> Array | None:
        """Bias of the problem, if it has one."""
        return self.arrays.get("b")

    @cached_property
    def reach(self) -> Array:
        """Outputs that NaN may reach where a backend declares that it does not stay local."""
        return find_nan_reach(self.problem, self.arrays)

    def differ(self, a: str, b: str) -> bool:
        """Return True if two answers contradict each other."""
        found = self.pairs[frozenset((a, b))]
        return found is not None and not found.passed

    def agree(self, a: str, b: str) -> bool:
        """Return True if two answers support each other; a comparison that proves nothing does not."""
        found = self.pairs[frozenset((a, b))]
        return found is not None and found.passed and not found.proves_nothing


def vote(
    problem: Problem,
    answers: Mapping[str, Answer],
    *,
    arrays: Mapping[str, Array] | None = None,
    comparable: Comparable | None = None,
) -> Verdict:
    """Compare all answers to one problem with each other and name the backends that the majority contradicts.

    answers: by backend, its outputs by name (on the host, in the problem's dtype) and its declared numerics. A backend
        without an answer has no vote.
    arrays: inputs of all answers; None draws them from the problem.
    comparable: (output, backend, other backend) -> True if both promise the same there. In any case, indices are
        compared only between backends that declare the same index for ties and NaN.
    """
    given = {k: a for k, a in (make_arrays(problem) if arrays is None else arrays).items() if a is not None}
    ballots = _prepare(problem, answers, given)
    poll = _Poll(problem=problem, ballots=ballots, comparable=comparable, arrays=given)
    for pair in itertools.combinations(ballots, 2):
        poll.pairs[frozenset(pair)] = _compare(poll, *pair)
    clusters = _cluster(poll)
    leading = [cluster for cluster in clusters if 2 * len(cluster) > len(ballots)]
    if len(ballots) < VOTERS or len(leading) != 1:
        against_each_other = any(poll.differ(*pair) for pair in itertools.combinations(ballots, 2))
        text = _describe_split(poll, clusters, len(leading))
        return Verdict(clusters=clusters, contradiction=against_each_other, text=text)
    against = {name: _oppose(poll, name, leading[0]) for name in ballots if name not in leading[0]}
    odd = {name: _explain(poll, name, other) for name, other in against.items() if other is not None}
    silent = tuple(name for name, other in against.items() if other is None)
    text = _describe_majority(leading[0], odd, silent)
    return Verdict(
        majority=leading[0], odd=odd, silent=silent, clusters=clusters, undecided=False, contradiction=bool(odd),
        text=text,
    )  # fmt: skip


def _prepare(problem: Problem, answers: Mapping[str, Answer], arrays: Mapping[str, Array]) -> dict[str, _Ballot]:
    """Widen all outputs; round whole numbers of norm-wise backends, and compute the bounds of inexact sums."""
    size: Array | None = None
    first, ballots = problem.operator.outputs[0], {}
    for backend, (outputs, numerics) in answers.items():
        wide = {name: np.asarray(a).astype(np.float64) for name, a in outputs.items()}
        allowed: dict[str, Array | float] = dict.fromkeys(wide, 0.0)
        if is_exact(problem, numerics, arrays):
            if numerics.normwise and not problem.operator.spec.selects:
                wide = {name: np.rint(a) for name, a in wide.items()}
        elif problem.data == "subnormal":
            allowed[first] = math.inf  # no bound is promised at the scale of subnormals
        elif first in wide and wide[first].shape == problem.output:
            with np.errstate(all="ignore"):
                size = magnitude(problem, arrays) if size is None else size
                allowed[first] = sum_bound(problem, numerics, arrays, size) + rounding_bound(problem, wide[first])
        ballots[backend] = _Ballot(wide, allowed, numerics)
    return ballots


def _compare(poll: _Poll, a: str, b: str) -> Deviation | None:
    """Return the deviation of answer a from answer b, in units of both bounds added; None if nothing is comparable."""
    parts = []
    for name in poll.problem.operator.outputs:
        if poll.comparable is not None and not poll.comparable(name, a, b):
            continue
        wrong = [text for backend in (a, b) if (text := _misshape(poll, backend, name))]
        if wrong:
            parts.append(statement(False, wrong[0]))
        elif name != "indices" or poll.ballots[a].indexes_like(poll.ballots[b]):
            parts.append(_compare_output(poll, a, b, name))
    return worst_of(*parts) if parts else None


def _misshape(poll: _Poll, backend: str, name: str) -> str:
    """Return what is wrong with the shape of an output; such an answer contradicts every other one."""
    got, wanted = poll.ballots[backend].outputs.get(name), poll.problem.shapes[name]
    if got is None:
        return f"{backend} gave no {name}"
    return "" if got.shape == wanted else f"{backend} gave {name} of shape {got.shape}, wanted {wanted}"


def _compare_output(poll: _Poll, a: str, b: str, name: str) -> Deviation:
    left, right = poll.ballots[a], poll.ballots[b]
    allowed = left.allowed[name] + right.allowed[name]
    normwise = left.numerics.normwise or right.numerics.normwise
    kind: Kind = "exact" if not np.any(allowed) else "norm" if normwise else "bound"
    value, excused = _excuse(poll, left, right, name)
    found = compare_arrays(value, right.outputs[name], allowed, what=name, kind=kind)
    return replace(found, vacuous=min(found.compared, found.vacuous + excused))


def _excuse(poll: _Poll, left: _Ballot, right: _Ballot, name: str) -> tuple[Array, int]:
    """Return the left values, with the right ones where NaN spread in a side that declares it, and their number.

    It spreads to outputs that read an image and a channel which holds one, and to no other.
    """
    value, other = left.outputs[name], right.outputs[name]
    spread = np.zeros(value.shape, dtype=bool)
    for mine, theirs, ballot in ((value, other, left), (other, value, right)):
        if not ballot.numerics.nan_local:
            spread |= (np.isnan(mine) | (np.isinf(mine) & np.isfinite(theirs))) & poll.reach
    return np.where(spread, other, value), int(np.count_nonzero(spread))


def _cluster(poll: _Poll) -> tuple[Names, ...]:
    """Return all maximal sets of names that agree with each other, the largest first (Bron and Kerbosch 1973)."""
    names = tuple(poll.ballots)
    near = {a: {b for b in names if a != b and poll.agree(a, b)} for a in names}

    def grow(chosen: set[str], may: set[str], done: set[str]) -> Iterator[Names]:
        if not may and not done and chosen:
            yield tuple(name for name in names if name in chosen)
        for name in [n for n in names if n in may]:
            yield from grow(chosen | {name}, may & near[name], done & near[name])
            may, done = may - {name}, done | {name}

    return tuple(sorted(grow(set(), set(names), set()), key=lambda cluster: -len(cluster)))


def _oppose(poll: _Poll, name: str, majority: Names) -> str | None:
    """Return the member of the majority with the tightest bound that contradicts a name; None if none does."""
    by_slack = sorted(majority, key=lambda member: poll.ballots[member].slack)
    return next((member for member in by_slack if poll.differ(name, member)), None)


def _explain(poll: _Poll, name: str, other: str) -> Deviation:
    """Return the deviation of one answer from another, with its pattern in the note."""
    found = _compare(poll, name, other)
    assert found is not None
    if found.kind == "structure":
        return found
    left, right, what = poll.ballots[name], poll.ballots[other], found.what
    value, _ = _excuse(poll, left, right, what)
    allowed = left.allowed[what] + right.allowed[what]
    pattern = describe_pattern(
        value, right.outputs[what], allowed, kernel=what == "dw", bias=poll.bias if what == "y" else None
    )
    return replace(found, note=f"against {other}{pattern and '; '}{pattern}")


def _describe_majority(majority: Names, odd: Mapping[str, Deviation], silent: Names) -> str:
    voters = len(majority) + len(odd) + len(silent)
    share = f"all {voters}" if len(majority) == voters else f"{len(majority)} of {voters}"
    parts = [f"{share} agree: {', '.join(majority)}"]
    parts += [f"{name} does not: {deviation.describe()}" for name, deviation in odd.items()]
    parts += [f"nothing is shown about {', '.join(silent)}"] if silent else []
    return "; ".join(parts)


def _describe_split(poll: _Poll, clusters: tuple[Names, ...], leading: int) -> str:
    """Return why the vote is undecided, who agrees with whom, and where the first two differ."""
    voters = len(poll.ballots)
    if voters < VOTERS:
        why = f"undecided, {voters} of at least {VOTERS} voters"
    else:
        why = f"undecided, {'more than one cluster' if leading else 'no cluster'} of more than half of {voters} voters"
    parts = [why, *(f"{', '.join(c)} agree" if len(c) > 1 else f"{c[0]} stands alone" for c in clusters)]
    pair = next((pair for pair in itertools.combinations(poll.ballots, 2) if poll.differ(*pair)), None)
    if pair is not None:
        found = _explain(poll, pair[1], pair[0])
        parts.append(found.what if found.kind == "structure" else f"{pair[1]} {_describe_gap(found)}")
    elif len(clusters) > 1:
        parts.append("no two contradict each other")
    return "; ".join(parts)


def _describe_gap(found: Deviation) -> str:
    place = f"{found.what}[{', '.join(map(str, found.index))}]"
    return f"gives {place} as {found.got:.9g} and not {found.wanted:.9g}; {found.note}"
