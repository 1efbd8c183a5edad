"""`harness fuzz`: replay previous failures, then search for problems on which a backend breaks a law."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.analysis.inert_text import show_text
from harness.cli.options import load_registry, plugin_options, read_seconds, say_parties
from harness.cli.saying import say
from harness.exit_codes import ExitCode

if TYPE_CHECKING:
    from harness.analysis.fuzz_report import FuzzedBackend, FuzzFinding
    from harness.experiments.fuzz import Bench, Bounds
    from harness.experiments.fuzz_corpus import Case
    from harness.record.run import Result


@click.command("fuzz")
@click.option("--backend", "backends", multiple=True, required=True, metavar="ARM",
              help="A backend, or one with settings such as NAME@set:VARIABLE=VALUE; may be repeated.")  # fmt: skip
@click.option("--time", "duration", metavar="TIME", help="Time for all backends together.  [default: 60s]")
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
) -> ExitCode:
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
    from harness.experiments.fuzz_corpus import DEFAULT_FOLDER
    from harness.experiments.fuzz_session import FuzzRequest, fuzz_backends

    request = FuzzRequest(
        backends=backends, seconds=read_seconds(duration) if duration else None, examples=examples, laws=laws,
        operators=operators, dtypes=dtypes, seed=seed, corpus=corpus or DEFAULT_FOLDER, plugins=plugins,
    )  # fmt: skip
    registry = load_registry(plugins, without)
    say_parties(registry, [name.partition("@")[0] for name in backends])
    with _Terminal() as watch:
        return fuzz_backends(registry, request, watch).exit_code


class _Terminal:
    """Prints every finding as soon as it is made, with a live line below, or a line every few seconds."""

    def __init__(self) -> None:
        from harness.cli.terminal import open_console

        self.console = open_console()
        self.backend = ""
        self.progress: _Progress | None = None

    def __enter__(self) -> _Terminal:
        """Return the observer."""
        return self

    def __exit__(self, *error: object) -> None:
        """Remove the live line, however the search ended."""
        self._pause()

    def begin(self, seed: int) -> None:
        """Print the seed."""
        self._say(f"seed {seed}")

    def start(self, backend: str, bounds: Bounds) -> None:
        """Show the live line."""
        self.backend, self.progress = backend, _Progress(bounds)
        self.progress.resume()

    def working(self, bench: Bench) -> None:
        """Show the current problem."""
        if self.progress is not None:
            self.progress.show(bench)

    def replayed(self, case: Case, result: Result | None) -> None:
        """Print what became of a case of the corpus."""
        self._pause()
        if result is None:
            self._say(f"corpus: {case.law} does not apply to {case.line} any more")
        else:
            said = "passes now" if result.outcome == "passed" else result.told
            self._say(f"corpus: {self.backend}  {case.law}  {case.line}: {said}")
        self._resume()

    def found(self, finding: FuzzFinding) -> None:
        """Print a finding, with the command that repeats it."""
        from rich.markup import escape

        self._pause()
        remark = "still fails" if finding.replayed else finding.outcome
        heading = f"{escape(finding.arm)}  {finding.law}   {escape(finding.result.formula)}"
        self.console.print(f"[red]{remark}[/red]  {heading}", soft_wrap=True)
        self._say(f"    problem  {finding.problem}")
        self._say(f"    reason   {finding.reason or ''}")
        self._say(f"    repeat   {finding.repeat}")
        if not finding.replayed:
            self._say(f"    met      in problem {finding.example}, as {finding.first}")
        self._resume()

    def stored(self, path: Path) -> None:
        """Print the file that keeps the finding."""
        self._pause()
        self._say(f"    stored   {path}")
        self._resume()

    def end(self, backend: FuzzedBackend) -> None:
        """Print a summary of one backend."""
        self._pause()
        self.progress = None
        if backend.died:
            self._say(f"{backend.died}  {backend.arm} died while starting: {backend.reason}")
        elif backend.unavailable:
            self._say(f"{backend.arm} is unavailable: {backend.reason}")
        else:
            if backend.reason:
                self._say(f"{backend.arm}: nothing could be applied: {backend.reason}")
            self._say(
                f"{backend.arm}: {backend.problems} problems and {backend.applications} law applications in "
                f"{backend.seconds:.1f} s, laws broken: {len({finding.law for finding in backend.findings})}"
            )

    def _pause(self) -> None:
        if self.progress is not None:
            self.progress.pause()

    def _resume(self) -> None:
        if self.progress is not None:
            self.progress.resume()

    def _say(self, text: str) -> None:
        self.console.print(text, markup=False, soft_wrap=True)


class _Progress:
    """One live line on a terminal, else a line every few seconds, on standard error."""

    def __init__(self, bounds: Bounds) -> None:
        from rich.status import Status

        from harness.cli.terminal import open_console

        self.bounds, self.last = bounds, time.monotonic()
        console = open_console(error=True)
        self.width = max(10, console.width - 4)
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
            say(text, error=True)
        else:
            self.status.update(escape(show_text(text, self.width)))

    def pause(self) -> None:
        """Hide the live line while something is printed, if there is one."""
        if self.status is not None:
            self.status.stop()

    def resume(self) -> None:
        """Show the live line, if there is one."""
        if self.status is not None:
            self.status.start()
