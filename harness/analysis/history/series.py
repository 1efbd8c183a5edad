"""Series of times: one backend on one problem in one environment, over the commits of the code."""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.analysis.history.store import Store, StoredRun, open_store, query_times
from harness.analysis.qualification import name_environment
from harness.errors import UsageError, unknown
from harness.plan.arm import parse_arm
from harness.plan.suite import Mode

if TYPE_CHECKING:
    import pyarrow as pa

    from harness.analysis.history.changes import Change
    from harness.problems.arrays import Array

SHORT = 9  # digits of an abbreviated revision
LEAST_POINTS = 6  # shorter series are not searched for changes


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Key:
    """Key of a series: the properties that all of its points share."""

    backend: str
    problem: str
    environment: str
    mode: Mode = "hot"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Source of points: one side of a run, with its code and environment."""

    run: StoredRun
    side: str
    backend: str
    environment: str
    revision: str = ""
    dirty: bool = False

    @property
    def commit(self) -> str:
        """Abbreviated revision, with a plus if files differed from it; empty outside a repository."""
        return self.revision[:SHORT] + ("+" if self.dirty and self.revision else "")

    @property
    def created(self) -> str:
        """Time at which the run began, in UTC to the second."""
        return f"{datetime.datetime.fromtimestamp(self.run.moment, datetime.UTC):%Y-%m-%d %H:%M:%S}"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Series:
    """Points of one key in order, as columns: numbers of sources, and times of a call in ns."""

    key: Key
    sources: Array
    median_ns: Array
    low_ns: Array
    high_ns: Array

    def __len__(self) -> int:
        return len(self.sources)

    @property
    def ratio(self) -> float:
        """Last time over the median of all times."""
        import numpy as np

        return float(self.median_ns[-1] / np.median(self.median_ns))


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """A change of a series, in terms of commits.

    good: last point of another commit before the change interval, None if there is none.
    bad: first point certainly after the change. first: most likely first point after the change.
    inside: True if the change lies between runs of one commit, so that the code cannot be its cause.
    """

    change: Change
    good: Source | None
    bad: Source
    first: Source
    inside: bool

    @property
    def size(self) -> float:
        """Size of the change, faster or slower, as the absolute logarithm of the ratio."""
        return abs(math.log(self.change.ratio.value))

    @property
    def commits(self) -> str:
        """Range of commits in the syntax of git, or the one commit within which the change lies."""
        if self.inside:
            return f"within {self.bad.commit}"
        return f"{(self.good.commit if self.good else '') or '?'}..{self.bad.commit or '?'}"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class History:
    """All requested series, the longest first.

    runs: number of runs. sources: in the order of the points. environments: description of each environment.
    notices: files that could not be read, or only from their journal.
    shifts: by key, for every series that was judged; None if changes were not requested.
    """

    folder: Path
    runs: int
    sources: tuple[Source, ...]
    series: tuple[Series, ...]
    environments: Mapping[str, str]
    notices: tuple[str, ...] = ()
    shifts: Mapping[Key, tuple[Shift, ...]] | None = None

    @property
    def short(self) -> int:
        """Number of series with too few points to search for changes."""
        return sum(len(one) < LEAST_POINTS for one in self.series)

    def points(self, series: Series) -> Iterator[tuple[Source, float, float, float]]:
        """Yield source, median, and both ends of its interval in ns, point by point."""
        columns = (series.median_ns.tolist(), series.low_ns.tolist(), series.high_ns.tolist())
        for number, *times in zip(series.sources.tolist(), *columns, strict=True):
            yield (self.sources[number], *times)


def read_history(
    folder: str | Path, *, backends: Sequence[str] = (), problem: str = "", since: float | None = None,
    revisions: Sequence[str] | None = None,
) -> History:  # fmt: skip
    """Read the series of all runs below a folder.

    folder: folder of run directories. backends: names, all by default. problem: a problem line, or part of one.
    since: seconds since 1970.
    revisions: all known revisions, oldest first; by default those of the repository in the current folder.
    Raises UsageError if there is no run, no such backend, or no time to show.
    """
    store = open_store(folder)
    sources = list_sources(store, since)
    known = {source.backend for source in sources}
    for name in backends:
        if name not in known:
            raise unknown("backend in the history", name, known, "python -m harness history")
    kept = [source for source in sources if not backends or source.backend in backends]
    kept = order_sources(kept, list_revisions() if revisions is None else revisions)
    runs = list({source.run.path: source.run for source in kept}.values())
    times, notices = query_times(runs, _sides(kept), problem)
    series = _split(times, problem)
    if (backends or problem) and not series:
        raise UsageError(
            f"history: {_words(backends, problem)} has no verified time in '{folder}'; "
            "`python -m harness history` lists what has"
        )
    return History(
        folder=Path(folder), runs=len(runs), sources=tuple(kept), series=series,
        environments={source.environment: _describe(source.run) for source in kept},
        notices=(*store.notices, *notices),
    )  # fmt: skip


def _words(backends: Sequence[str], problem: str) -> str:
    said = [f"backend {' or '.join(backends)}"] if backends else []
    return " on ".join([*said, *([f"a problem with '{problem}'"] if problem else [])])


def _describe(run: StoredRun) -> str:
    about = run.head.environment
    known = (
        about.cpu,
        f"{about.cores} cores" if about.cores else "",
        f"{about.threads} threads" if about.threads else "",
    )
    return ", ".join(word for word in known if word)


def list_sources(store: Store, since: float | None = None) -> list[Source]:
    """Return the sides of all runs: the arms of a comparison, else the backends."""
    found = []
    for run in store.runs:
        if since is not None and run.moment < since:
            continue
        about, git = run.head.environment, run.head.environment.git or {}
        name = name_environment({
            "fingerprint": about.fingerprint, "threads": about.threads, "variables": about.variables,
        })  # fmt: skip
        for arm in run.head.arms:
            # Libraries of another interpreter are not those of the fingerprint.
            libraries = parse_arm(arm.text).environment.libraries if arm.text else ""
            found.append(
                Source(
                    run=run, side=arm.name, backend=arm.backend, revision=arm.revision, dirty=arm.dirty,
                    environment=name + libraries,
                )
            )  # fmt: skip
        if not run.head.arms:
            found += [
                Source(
                    run=run, side=arm_name, backend=arm_name, environment=name,
                    revision=str(git.get("revision", "")), dirty=bool(git.get("dirty")),
                )
                for arm_name in run.head.arm_names
            ]  # fmt: skip
    return found


def list_revisions() -> list[str]:
    """Return all commits of the repository in the current folder, parents first; empty outside a repository."""
    from harness.git import GitError, find_repository, git

    repository = find_repository(())
    if repository is None:
        return []
    try:
        return git(repository, "rev-list", "--topo-order", "--reverse", "--all", "HEAD").split()
    except GitError:  # a repository without a commit
        return []


def order_sources(sources: Iterable[Source], revisions: Sequence[str]) -> list[Source]:
    """Sort sources by the history of the code; unknown revisions by the time of their run.

    The age of a commit is the time of the first run of this commit or of any later one. A commit that is measured late
    therefore keeps its place in the history, and unknown revisions stand among the commits that were new at that time.
    """
    sources = list(sources)
    rank = {revision: number for number, revision in enumerate(revisions)}
    first: dict[int, float] = {}
    for source in sources:
        if (number := rank.get(source.revision)) is not None:
            first[number] = min(first.get(number, math.inf), source.run.moment)
    age, earliest = {}, math.inf
    for number in sorted(first, reverse=True):
        age[number] = earliest = min(earliest, first[number])

    def place(source: Source) -> tuple[float, int, bool, float, str, str]:
        number = rank.get(source.revision, -1)
        # uncommitted changes come after the commit they are based on
        return (
            age.get(number, source.run.moment),
            number,
            source.dirty,
            source.run.moment,
            str(source.run.path),
            source.side,
        )

    return sorted(sources, key=place)


def _sides(sources: Sequence[Source]) -> pa.Table:
    import pyarrow as pa

    return pa.table({
        "file": pa.array([str(source.run.table) for source in sources], pa.string()),
        "side": pa.array([source.side for source in sources], pa.string()),
        "backend": pa.array([source.backend for source in sources], pa.string()),
        "environment": pa.array([source.environment for source in sources], pa.string()),
        "source": pa.array(range(len(sources)), pa.int32()),
    })  # fmt: skip


def _split(times: pa.Table, problem: str) -> tuple[Series, ...]:
    """Cut ordered rows into series; if `problem` is a complete problem line, keep only that one."""
    import numpy as np

    if not times.num_rows:
        return ()
    names = [times[name].combine_chunks().dictionary_encode() for name in ("backend", "problem", "environment", "mode")]
    codes = [column.indices.to_numpy() for column in names]
    steps = np.any([code[1:] != code[:-1] for code in codes], axis=0)
    starts = np.concatenate([[0], np.flatnonzero(steps) + 1, [times.num_rows]])
    sources, *columns = (times[name].to_numpy() for name in ("source", "median_ns", "low_ns", "high_ns"))
    found = []
    for begin, end in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
        backend, line, environment, mode = (n.dictionary[c[begin]].as_py() for n, c in zip(names, codes, strict=True))
        key = Key(backend=backend, problem=line, environment=environment, mode=mode)
        median, low, high = (column[begin:end] for column in columns)
        found.append(Series(key=key, sources=sources[begin:end], median_ns=median, low_ns=low, high_ns=high))
    found = [one for one in found if one.key.problem == problem] or found
    return tuple(sorted(found, key=lambda one: (-len(one), one.key)))


def judge_history(history: History) -> History:
    """Search every series with enough points for changes, and return the history with its `shifts`."""
    import numpy as np

    from harness.analysis.history.changes import find_changes

    long = {one.key: one for one in history.series if len(one) >= LEAST_POINTS}
    found = find_changes({key: np.log(one.median_ns) for key, one in long.items()})
    shifts = {
        key: tuple(_place(change, one, history.sources.__getitem__) for change in found.get(key, ()))
        for key, one in long.items()
    }
    return replace(history, shifts=shifts)


def _place(change: Change, series: Series, source: Callable[[int], Source]) -> Shift:
    """The change in terms of commits."""
    at = [source(int(number)) for number in series.sources]
    bad = at[change.latest]
    before = [one for one in at[: change.earliest + 1] if one.commit != bad.commit]
    inside = bool(bad.commit) and all(one.commit == bad.commit for one in at[change.earliest : change.latest])
    return Shift(change=change, good=before[-1] if before else None, bad=bad, first=at[change.at], inside=inside)
