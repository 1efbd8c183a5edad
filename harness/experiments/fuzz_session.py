"""One call of fuzzing: replay the corpus of each backend, search for broken laws, and store them."""

from __future__ import annotations

import contextlib
import random
import shlex
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from harness.analysis.fuzz_report import FuzzedBackend, FuzzFinding, FuzzReport
from harness.errors import UsageError, unknown
from harness.execution.worker_process import WorkerDiedError
from harness.experiments.fuzz import SUITE, Bench, Bounds, Domain, search
from harness.experiments.fuzz_corpus import DEFAULT_FOLDER, Case, append_case, case_file, open_corpus, read_cases
from harness.gating.versions import read_backend
from harness.generate.dispatch.drawing import draw_layers, mix_problems
from harness.generate.dispatch.problems import LAW
from harness.plugins.manager import Registry
from harness.problems.numerics import DTYPES, Dtype
from harness.problems.operator import Operator
from harness.problems.problem import Problem
from harness.problems.validation import read_word
from harness.record.run import WRONG, Result

DEFAULT_S = 60.0
LAYER_BURSTS = 12  # per burst of problems tested with all laws, such that one burst takes a third to half of the time
NOTHING_APPLIES = "no law applies to the problems that were drawn"


@dataclass(frozen=True, slots=True, kw_only=True)
class FuzzRequest:
    """Backends to fuzz, with limits of the search.

    backends: names or arms with settings. seconds: for all backends together; None with `examples` is no limit, and 60
    without. examples: problems to draw for each backend, or None. laws, operators, dtypes: only these; empty for all.
    seed: draws the same problems again; None for a random one. corpus: folder of the failing cases.
    plugins: modules and files that the workers load.
    """

    backends: Sequence[str]
    seconds: float | None = None
    examples: int | None = None
    laws: Sequence[str] = ()
    operators: Sequence[str] = ()
    dtypes: Sequence[str] = ()
    seed: int | None = None
    corpus: str | Path = DEFAULT_FOLDER
    plugins: Sequence[str] = ()


class FuzzWatch(Protocol):
    """An observer of fuzzing."""

    def begin(self, seed: int) -> None:
        """Receive the seed, before anything runs."""

    def start(self, backend: str, bounds: Bounds) -> None:
        """Receive the next backend, whose worker runs, and its limits."""

    def working(self, bench: Bench) -> None:
        """Receive the state of the search, before each application of a law."""

    def replayed(self, case: Case, result: Result | None) -> None:
        """Receive a stored case that does not fail now, and its result; None if its law no longer applies."""

    def found(self, finding: FuzzFinding) -> None:
        """Receive a finding as soon as it is made."""

    def stored(self, path: Path) -> None:
        """Receive the file of the corpus in which the last finding is kept."""

    def end(self, backend: FuzzedBackend) -> None:
        """Receive all that was found in a backend."""


class SilentFuzzing:
    """An observer that shows nothing; its methods do nothing with any `backend`, `case` or `result`."""

    def begin(self, seed: int) -> None:
        """Do nothing."""

    def start(self, backend: str, bounds: Bounds) -> None:
        """Do nothing."""

    def working(self, bench: Bench) -> None:
        """Do nothing."""

    def replayed(self, case: Case, result: Result | None) -> None:
        """Do nothing."""

    def found(self, finding: FuzzFinding) -> None:
        """Do nothing."""

    def stored(self, path: Path) -> None:
        """Do nothing."""

    def end(self, backend: FuzzedBackend) -> None:
        """Do nothing."""


def fuzz_backends(registry: Registry, request: FuzzRequest, watch: FuzzWatch) -> FuzzReport:
    """Replay and search for each backend.

    registry: of the plugins. request: what to fuzz. watch: observer of the progress.
    Raises UsageError for names, limits and files of the corpus that cannot be used, before anything runs.
    """
    session = _prepare(registry, request, watch)
    names = tuple(dict.fromkeys(request.backends))
    seconds = DEFAULT_S if request.seconds is None and request.examples is None else request.seconds
    for name in names:
        read_cases(session.corpus, name, registry.laws)
    watch.begin(session.seed)
    begun, done = time.monotonic(), []
    with tempfile.TemporaryDirectory() as logs, _keep_caches_in(Path(logs)):
        for place, name in enumerate(names):
            left = None if seconds is None else max(0.0, begun + seconds - time.monotonic()) / (len(names) - place)
            done.append(session.try_backend(name, Path(logs), Bounds(seconds=left, examples=request.examples)))
            watch.end(done[-1])
    return FuzzReport(seed=session.seed, backends=tuple(done))


def _prepare(registry: Registry, request: FuzzRequest, watch: FuzzWatch) -> _Session:
    """Check a request. Raises UsageError."""
    if not request.backends:
        raise UsageError("backends: got none, wanted one or more; see `python -m harness list backends`")
    for what, value, least in (("examples", request.examples, 1), ("seed", request.seed, 0)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < least):
            raise UsageError(f"{what}: got {value!r}, wanted a whole number of at least {least}")
    seconds = request.seconds
    if seconds is not None and not (isinstance(seconds, int | float) and seconds > 0):
        raise UsageError(f"seconds: got {seconds!r}, wanted a number above 0")
    for kind, given, known, see in (
        ("operator", request.operators, tuple(Operator), "python -m harness list operators"),
        ("dtype", request.dtypes, DTYPES, "docs/problem-line.md"),
    ):
        for name in given:
            if name not in known:
                raise unknown(kind, name, known, see)
    for name in request.backends:
        registry.backend(read_backend(name).backend)
    return _Session(
        registry=registry,
        laws=tuple(registry.law(name).name for name in request.laws) or tuple(registry.suite(SUITE).laws),
        operators=tuple(map(Operator, request.operators)) or tuple(Operator),
        dtypes=tuple(read_word("dtype", name, DTYPES) for name in request.dtypes) or DTYPES,
        seed=random.SystemRandom().randrange(2**31) if request.seed is None else request.seed,
        corpus=open_corpus(request.corpus),
        plugins=tuple(request.plugins),
        watch=watch,
    )


@dataclass(slots=True, kw_only=True)
class _Session:
    """Arguments of a call, and the findings in the current backend."""

    registry: Registry
    laws: tuple[str, ...]
    operators: tuple[Operator, ...]
    dtypes: Sequence[Dtype]
    seed: int
    corpus: Path
    plugins: tuple[str, ...]
    watch: FuzzWatch
    found: list[FuzzFinding] = field(default_factory=list)

    def try_backend(self, name: str, logs: Path, bounds: Bounds) -> FuzzedBackend:
        """Replay and search for one backend. logs: folder for the logs of workers."""
        self.found = []
        bench = Bench(self.registry, name, logs, self.plugins)
        unavailable, died = False, None
        try:
            reason = bench.supervisor.launch()[1].reason
            if reason is not None:
                unavailable = True
            else:
                with remember_interrupts() as raise_again:
                    bench.watch = self._look(raise_again)
                    self.watch.start(name, bounds)
                    self._replay_and_search(bench, bounds)
                if not bench.applications:
                    reason = bench.refusal or NOTHING_APPLIES
        except WorkerDiedError as error:
            died, reason = error.outcome, _without_log(str(error))
        finally:
            bench.close()
        return FuzzedBackend(
            arm=name, problems=bench.problems, applications=bench.applications,
            seconds=time.monotonic() - bounds.begun, findings=tuple(self.found),
            unavailable=unavailable, died=died, reason=reason,
        )  # fmt: skip

    def _look(self, raise_again: Callable[[], None]) -> Callable[[Bench], None]:
        def look(bench: Bench) -> None:
            raise_again()
            self.watch.working(bench)

        return look

    def _replay_and_search(self, bench: Bench, bounds: Bounds) -> None:
        """Replay the corpus, then search with the laws that are not broken there."""
        from harness.generate.strategy import problems

        self._replay(bench)
        broken = {finding.law for finding in self.found}
        dtypes = [dtype for dtype in self.dtypes if dtype in self.registry.backend(bench.arm.backend).dtypes]
        if not dtypes:
            bench.refusal = f"{bench.backend} has no {', '.join(self.dtypes)}"
            return
        laws = [law for law in self.laws if law not in broken]
        domains = (
            Domain(problems=problems(operators=self.operators, dtypes=dtypes)),
            Domain(problems=self._draw_layers(dtypes), law=LAW if LAW in self.laws else "", bursts=LAYER_BURSTS),
        )  # fmt: skip
        for finding in search(bench, laws, domains, bounds, self.seed):
            self._keep(finding)
            append_case(self.corpus, bench.backend, Case(finding.law, finding.problem))
            self.watch.stored(case_file(self.corpus, bench.backend))

    def _draw_layers(self, dtypes: Sequence[Dtype]) -> Iterator[Problem]:
        """Yield problems on specialised code paths: drawn layers, and what the suite has chosen."""

        def choose() -> Iterator[Problem]:
            for named in self.registry.suite(SUITE).problems():
                problem, asked_elements = named.problem, named.laws == (LAW,)
                if not asked_elements or not isinstance(problem, Problem):
                    continue
                if problem.operator in self.operators and problem.dtype in dtypes:
                    yield problem

        return mix_problems(draw_layers(self.operators, dtypes, self.seed), choose, self.seed)

    def _replay(self, bench: Bench) -> None:
        """Apply the laws of the stored cases again."""
        for case in read_cases(self.corpus, bench.backend, self.registry.laws):
            result = bench.replay(case)
            if result is not None and result.outcome in WRONG:
                self._keep(FuzzFinding(result=result))
            else:
                self.watch.replayed(case, result)

    def _keep(self, finding: FuzzFinding) -> None:
        result = replace(finding.result, reason=_without_log(finding.result.reason or finding.result.outcome))
        self.found.append(replace(finding, result=result, repeat=repeat_command(result, self.plugins)))
        self.watch.found(self.found[-1])


def repeat_command(result: Result, plugins: Sequence[str]) -> str:
    """Return the command that applies only this law to only this problem."""
    words = ["python", "-m", "harness", "run", result.suite, "--problem", result.problem, "--backend", result.arm]
    words += ["--law", result.law, *(word for plugin in plugins for word in ("--plugin", plugin))]
    return shlex.join([*words, *(("--threads", str(result.threads)) if result.threads else ())])


def _without_log(reason: str) -> str:
    """The reason without the path of the worker's log, which is deleted at the end."""
    return reason.partition("; log: ")[0]


@contextlib.contextmanager
def _keep_caches_in(folder: Path) -> Iterator[None]:
    """Let Hypothesis write its caches into a folder, instead of one of the user's."""
    from hypothesis import configuration

    before = vars(configuration).get("__hypothesis_home_directory")  # it can be set, but not asked for
    configuration.set_hypothesis_home_dir(str(folder))
    try:
        yield
    finally:
        configuration.set_hypothesis_home_dir(before)


@contextlib.contextmanager
def remember_interrupts() -> Iterator[Callable[[], None]]:
    """Yield a function that raises KeyboardInterrupt if an interrupt has occurred.

    Python drops an interrupt inside a callback of its garbage collector, and Hypothesis installs one. Outside of the
    main thread, which alone receives interrupts, the function does nothing.
    """
    came: list[int] = []

    def remember(number: int, frame: object) -> None:
        came.append(number)
        raise KeyboardInterrupt

    def raise_again() -> None:
        if came:
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield raise_again
        return
    before = signal.signal(signal.SIGINT, remember)
    try:
        yield raise_again
    except Exception:
        raise_again()  # an interrupt inside Hypothesis may surface as an unrelated error
        raise
    finally:
        signal.signal(signal.SIGINT, before)
