"""A reporter: wrong results and times as lines of text; `python -m harness run --plugin ./examples/reporter.py`."""

from collections.abc import Iterator
from pathlib import Path

from harness import Analysis, Reporter, hookimpl
from harness.analysis import describe_failure, repeat_command


def write(analysis: Analysis, folder: Path) -> tuple[Path, ...]:
    """Write lines.txt."""
    path = folder / "lines.txt"
    path.write_text("".join(f"{line}\n" for line in list_lines(analysis)), encoding="utf-8")
    return (path,)


def list_lines(analysis: Analysis) -> Iterator[str]:
    """Yield the exit code, what is wrong with the command that repeats it, and the timed problems."""
    run = analysis.run
    yield f"exit code {analysis.exit_code:d}, {len(run.results)} of {run.header.cells} cells"
    for group in analysis.failures(most=100, each=3):
        for result in group.results:
            yield f"{result.outcome} {result.arm} {result.law} {result.problem}"
            yield from (f"    {name}: {text}" for name, text in describe_failure(result))
            yield f"    repeat: {repeat_command(run.header, result)}"
    for row in analysis.speed:
        times = ", ".join(f"{arm} {cell['median_ns'] / 1e6:.3g} ms" for arm, cell in row.cells.items())
        yield f"{row.problem}: {times}"


@hookimpl
def register_reporters(register):
    """Register the format `lines`."""
    register(Reporter(name="lines", description="Wrong results and times as lines of text.", write=write))
