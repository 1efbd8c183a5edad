"""`harness fuzz`: replay previous failures, then search for problems on which a backend breaks a law."""

from __future__ import annotations

import random
import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.options import load_registry, plugin_options, read_seconds
from harness.exit_codes import ExitCode

if TYPE_CHECKING:
    from rich.console import Console

    from harness.experiments.fuzz import Bench, Bounds
    from harness.plugins.manager import Registry
    from harness.problems.operator import Operator
    from harness.record.run import Result

DEFAULT_TIME = "60s"
LAYER_BURSTS = 12  # per burst of problems tested with all laws, such that one burst takes a third to half of the time


@click.command("fuzz")
@click.option("--backend", "backends", multiple=True, required=True, metavar="ARM",
              help="A backend, or one with settings such as NAME@set:VARIABLE=VALUE; may be repeated.")  # fmt: skip
@click.option("--time", "duration", metavar="TIME", help=f"Time for all backends together.  [default: {DEFAULT_TIME}]")
@click.option(
    "--examples", type=click.IntRange(1), help="Problems to draw for each backend, instead of or beside --time."
)
@click.option("--law", "laws", multiple=True, metavar="NAME", help="Only this law; may be repeated.")
@click.option("--operator", "operators", multiple=True, metavar="NAME", help="Only this operator; may be repeated.")
@click.option("--dtype", "dtypes", multiple=True, metavar="NAME", help="Only this dtype; may be repeated.")
@click.option(
    "--seed",
    type=click.IntRange(0),
    help="Draw the same problems again, with the same code.  [default: random, and printed]",
)
@click.option("--corpus", metavar="FOLDER", help="Where failing cases are kept.  [default: harness-corpus]")
@plugin_options
def command(
    backends: tuple[str, ...],
    duration: str | None,
    examples: int | None,
    laws: tuple[str, ...],
    operators: tuple[str, ...],
    dtypes: tuple[str, ...],
    seed: int | None,
    corpus: str | None,
    plugins: tuple[str, ...],
    without: tuple[str, ...],
) -> int:
    """Search for problems on which a backend breaks a law, and make them as small as can be.

    What failed before is replayed first, from the corpus. Then problems are drawn from two domains in turn. Problems
    of all shapes, with every axis different, are tested with every law of the suite `correctness` that applies. Typical
    layers of networks, for which libraries have special code, are compared with the reference, element by element. A
    broken law is shown on the smallest problem found, stored, and left out from then on.

    \b
    python -m harness fuzz --backend mine --plugin ./mine.py --time 5m
    python -m harness fuzz --backend torch --operator conv_transpose --dtype float32 --seed 7
    python -m harness fuzz --backend torch@set:ONEDNN_MAX_CPU_ISA=AVX2 --time 5m
    """
    import tempfile

    from hypothesis.configuration import set_hypothesis_home_dir

    from harness.cli.summary import open_console
    from harness.errors import unknown
    from harness.experiments.fuzz_corpus import DEFAULT_FOLDER, open_corpus, read_cases
    from harness.gating.versions import read_backend
    from harness.problems.numerics import DTYPES
    from harness.problems.operator import Operator

    seconds = read_seconds(duration or DEFAULT_TIME) if duration or examples is None else None
    for kind, given, known, see in (
        ("operator", operators, tuple(Operator), "python -m harness list operators"),
        ("dtype", dtypes, DTYPES, "docs/problem-line.md"),
    ):
        for name in given:
            if name not in known:
                raise unknown(kind, name, known, see)
    registry = load_registry(plugins, without)
    names = tuple(dict.fromkeys(backends))
    for name in names:
        registry.backend(read_backend(name).backend)
    wanted = tuple(registry.law(name).name for name in laws) or registry.suite("correctness").laws
    folder = open_corpus(corpus or DEFAULT_FOLDER)
    for name in names:
        read_cases(folder, name, registry.laws)  # report unreadable ones before anything runs
    session = _Session(
        registry, wanted, tuple(map(Operator, operators)) or tuple(Operator), dtypes or DTYPES,
        random.SystemRandom().randrange(2**31) if seed is None else seed, folder, plugins, open_console(),
    )  # fmt: skip
    session.console.print(f"seed {session.seed}", markup=False)
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as logs:
        set_hypothesis_home_dir(logs)  # keep its cache out of the user's folders
        for place, name in enumerate(names):
            left = None if seconds is None else max(0.0, begun + seconds - time.monotonic()) / (len(names) - place)
            session.try_backend(name, Path(logs), left, examples)
    return session.exit_code


class _Session:
    """State of one command: its arguments, and its findings."""

    def __init__(
        self,
        registry: Registry,
        laws: tuple[str, ...],
        operators: tuple[Operator, ...],
        dtypes: Sequence[str],
        seed: int,
        corpus: Path,
        plugins: tuple[str, ...],
        console: Console,
    ) -> None:
        self.registry, self.laws, self.operators, self.dtypes = registry, laws, operators, dtypes
        self.seed, self.corpus, self.plugins, self.console = seed, corpus, plugins, console
        self.wrong = 0
        self.applications = 0

    @property
    def exit_code(self) -> ExitCode:
        """WRONG if a law is broken, INCOMPLETE if none could be applied, else OK."""
        if self.wrong:
            return ExitCode.WRONG
        return ExitCode.OK if self.applications else ExitCode.INCOMPLETE

    def try_backend(self, name: str, logs: Path, seconds: float | None, examples: int | None) -> None:
        """Replay and search for one backend, and print a summary.

        name: backend or arm. logs: folder for the logs of workers. seconds: time limit, or None.
        examples: number of problems to draw, or None.
        """
        from harness.execution.worker_process import WorkerDiedError
        from harness.experiments.fuzz import Bench, Bounds

        begun, bounds = time.monotonic(), Bounds(seconds=seconds, examples=examples)
        bench = Bench(self.registry, name, logs, self.plugins)
        progress = _Progress(bounds)
        try:
            ready = bench.supervisor.launch()[1]
            if ready.reason:
                self._say(f"{name} is unavailable: {ready.reason}")
                return
            with remember_interrupts() as raise_again, progress.running():
                bench.watch = partial(_look, raise_again, progress)
                found = self._replay_and_search(bench, bounds, progress)
        except WorkerDiedError as error:
            self.wrong += 1
            self._say(f"{error.outcome}  {name} died while starting: {_without_log(str(error))}")
            return
        finally:
            bench.close()
            self.applications += bench.applications
        if not bench.applications:
            why = bench.refusal or "no law applies to the problems that were drawn"
            self._say(f"{name}: nothing could be applied: {why}")
        spent = time.monotonic() - begun
        self._say(
            f"{name}: {bench.problems} problems and {bench.applications} law applications in {spent:.1f} s, "
            f"laws broken: {found}"
        )

    def _replay_and_search(self, bench: Bench, bounds: Bounds, progress: _Progress) -> int:
        """Print every finding as soon as it is made; return the number of broken laws."""
        from harness.experiments.fuzz import Domain, search
        from harness.experiments.fuzz_corpus import Case, append_case, case_file
        from harness.generate.dispatch.drawing import draw_layers
        from harness.generate.dispatch.problems import LAW
        from harness.generate.strategy import problems

        broken = self._replay(bench, progress)
        dtypes = [dtype for dtype in self.dtypes if dtype in self.registry.backend(bench.arm.backend).dtypes]
        if not dtypes:
            bench.refusal = f"{bench.backend} has no {', '.join(self.dtypes)}"
            return len(broken)
        laws = [law for law in self.laws if law not in broken]
        domains = (
            Domain(problems=problems(operators=self.operators, dtypes=dtypes)),
            Domain(problems=draw_layers(self.operators, dtypes, self.seed), law=LAW if LAW in self.laws else "",
                   bursts=LAYER_BURSTS),
        )  # fmt: skip
        for finding in search(bench, laws, domains, bounds, self.seed):
            self.wrong += 1
            broken.add(finding.result.law)
            with progress.paused():
                self._print_wrong(finding.result)
                self._say(f"    met      in problem {finding.example}, as {finding.first}")
                append_case(self.corpus, bench.backend, Case(finding.result.law, finding.result.problem))
                self._say(f"    stored   {case_file(self.corpus, bench.backend)}")
        return len(broken)

    def _replay(self, bench: Bench, progress: _Progress) -> set[str]:
        """Ask the stored cases again; the laws that are still broken."""
        from harness.experiments.fuzz_corpus import read_cases
        from harness.record.run import WRONG

        broken: set[str] = set()
        for case in read_cases(self.corpus, bench.backend, self.registry.laws):
            result = bench.replay(case)
            with progress.paused():
                if result is None:
                    self._say(f"corpus: {case.law} does not apply to {case.line} any more")
                elif result.outcome in WRONG:
                    self.wrong += 1
                    broken.add(case.law)
                    self._print_wrong(result, "still fails")
                else:
                    said = "passes now" if result.outcome == "passed" else f"{result.outcome}: {result.reason}"
                    self._say(f"corpus: {bench.backend}  {case.law}  {case.line}: {said}")
        return broken

    def _print_wrong(self, result: Result, remark: str = "") -> None:
        from rich.markup import escape

        heading = f"{escape(result.backend)}  {result.law}   {escape(result.formula)}"
        self.console.print(f"[red]{remark or result.outcome}[/red]  {heading}", soft_wrap=True)
        self._say(f"    problem  {result.problem}")
        self._say(f"    reason   {_without_log(result.reason)}")
        self._say(f"    repeat   {repeat_command(result, self.plugins)}")

    def _say(self, text: str) -> None:
        self.console.print(text, markup=False, soft_wrap=True)


def _look(raise_again: Callable[[], None], progress: _Progress, bench: Bench) -> None:
    raise_again()
    progress.show(bench)


def repeat_command(result: Result, plugins: Sequence[str]) -> str:
    """Return the command that applies only this law to only this problem."""
    words = ["python", "-m", "harness", "run", result.suite, "--problem", result.problem, "--backend", result.backend]
    words += ["--law", result.law, *(word for plugin in plugins for word in ("--plugin", plugin))]
    return shlex.join([*words, *(("--threads", str(result.threads)) if result.threads else ())])


def _without_log(reason: str) -> str:
    """The reason without the path of the worker's log, which is deleted at the end of the command."""
    return reason.partition("; log: ")[0]


@contextmanager
def remember_interrupts() -> Iterator[Callable[[], None]]:
    """Yield a function that raises KeyboardInterrupt if an interrupt has occurred.

    Python drops an interrupt inside a callback of its garbage collector, and Hypothesis installs one.
    """
    came: list[int] = []

    def remember(number: int, frame: object) -> None:
        came.append(number)
        raise KeyboardInterrupt

    def raise_again() -> None:
        if came:
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, remember)
    try:
        yield raise_again
    except Exception:
        raise_again()  # an interrupt inside Hypothesis may surface as an unrelated error
        raise
    finally:
        signal.signal(signal.SIGINT, before)


class _Progress:
    """One live line on a terminal, else a line every few seconds, on standard error."""

    def __init__(self, bounds: Bounds) -> None:
        from rich.console import Console
        from rich.status import Status

        self.bounds, self.last = bounds, time.monotonic()
        console = Console(stderr=True)
        self.width = console.width - 4
        self.status = Status("starting", console=console) if console.is_terminal else None

    def show(self, bench: Bench) -> None:
        """Show the current problem."""
        from rich.markup import escape

        from harness.cli.progress import PLAIN_EVERY_S

        if self.status is None and time.monotonic() - self.last < PLAIN_EVERY_S:
            return
        self.last = time.monotonic()
        seconds, examples = self.bounds.left_s, self.bounds.examples
        left = f"problem {bench.drawn} of {examples}" if examples else f"{max(0.0, seconds):.0f} s left"
        counts = f"{bench.problems} problems, {bench.applications} law applications, {left}"
        text = f"{bench.backend}: {counts}; {bench.now}"
        if self.status is None:
            print(text, file=sys.stderr, flush=True)
        else:
            self.status.update(escape(text[: self.width]))

    @contextmanager
    def running(self) -> Iterator[None]:
        """Show the live line, if there is one."""
        if self.status is None:
            yield
            return
        with self.status:
            yield

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Hide the live line while something is printed."""
        if self.status is None:
            yield
            return
        self.status.stop()
        yield
        self.status.start()
