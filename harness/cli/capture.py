"""`harness capture`: extract the problems of a user's model into a file that suites accept."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.saying import say
from harness.exit_codes import ExitCode

if TYPE_CHECKING:
    from harness.capture.workload import Workload


@click.command("capture")
@click.argument("model", metavar="MODEL")
@click.option("--input", "inputs", multiple=True, metavar="SHAPE",
              help="Of an argument, or of an input of the graph, such as 1x3x224x224; may be repeated.")  # fmt: skip
@click.option("--dtype", metavar="NAME", help="With torch: of the inputs; 1x16:int64 names one's own.  [float32]")
@click.option("--backward/--no-backward", default=None, help="Gradients too.  [default: with torch]")
@click.option("--input-grad", is_flag=True, help="With torch: also the gradients of the inputs.")
@click.option("--dim", "dims", multiple=True, metavar="NAME=SIZE",
              help="With onnx: size of a dimension that has a name, such as N=1; may be repeated.")  # fmt: skip
@click.option("--output", metavar="FILE.json", help="File to write.  [default: named after the model]")
@click.option("--replace", is_flag=True, help="Write over the file where there is one.")
def command(
    model: str, inputs: tuple[str, ...], dtype: str | None, backward: bool | None, input_grad: bool,
    dims: tuple[str, ...], output: str | None, replace: bool,
) -> ExitCode:  # fmt: skip
    """Take the problems of a model of your own: every convolution and pooling that it calls, and how often.

    MODEL is torch:package.module:name or torch:./file.py:name, a torch module or a function that builds one; the model
    is run once. Or it is onnx:model.onnx, whose graph is read. Equal calls are one problem, with its multiplicity.
    Calls that cannot be taken are listed with the reason. Exit code 4: nothing was taken, and no file is written.

    \b
    python -m harness capture torch:my_package.models:build --input 1x3x224x224
    python -m harness capture onnx:model.onnx --dim N=8 --output mine.json
    python -m harness run speed --problems mine.json --backend torch
    """
    from harness.capture.workload import write_workload
    from harness.errors import UsageError

    kind, colon, rest = model.partition(":")
    if kind not in ("torch", "onnx") or not colon or not rest:
        raise UsageError(f"model: got '{model}', wanted torch:package.module:name, torch:./file.py:name or onnx:FILE")
    refuse_foreign(kind, dtype=dtype is not None, input_grad=input_grad, dim=bool(dims))
    file = Path(output or name_file(kind, rest))
    if file.exists() and not replace:
        raise UsageError(
            f"output: got '{file}', which exists, wanted a new file; name one with --output, or add --replace"
        )
    if kind == "torch":
        from harness.capture.torch_model import Want, capture_torch

        want = Want(
            inputs=inputs, dtype=dtype or "float32", backward=backward is not False, input_grad=input_grad
        )  # fmt: skip
        workload = capture_torch(rest, want)
    else:
        from harness.capture.onnx_graph import capture_onnx

        workload = capture_onnx(rest, inputs=inputs, dims=dims, backward=bool(backward))
    print_workload(workload)
    if not workload.problems:
        say("nothing was taken, and no file is written")
        return ExitCode.INCOMPLETE
    write_workload(workload, file, replace=replace)
    say(f"{file}: use it with --problems {file}")
    return ExitCode.OK


def refuse_foreign(kind: str, *, dtype: bool, input_grad: bool, dim: bool) -> None:
    """Refuse options of the other kind of model.

    kind: "torch" or "onnx". dtype, input_grad, dim: True if the option was given.
    Raises UsageError for an option of the other kind.
    """
    from harness.errors import UsageError

    others = {"onnx": {"--dtype": dtype, "--input-grad": input_grad}, "torch": {"--dim": dim}}
    for name, given in others[kind].items():
        if given:
            raise UsageError(f"{name}: got it with {kind}:, wanted it with the other kind of model only")


def name_file(kind: str, rest: str) -> str:
    """Return a file name in the current folder for a model."""
    if kind == "onnx":
        return f"{Path(rest).stem}.json"
    place, _, name = rest.rpartition(":")
    stem = Path(place).stem if place.endswith(".py") else place
    return re.sub(r"[^\w.-]+", "-", f"{stem}-{name}") + ".json"


def print_workload(workload: Workload) -> None:
    """Print the table of problems, the calls that were left out with their reasons, and the sums."""
    from rich.markup import escape

    from harness.cli.terminal import open_console, plain_table

    console = open_console()
    if workload.problems:
        table = plain_table("name", "problem", "calls", numbers=1)
        for named in workload.problems:
            table.add_row(escape(named.name), escape(named.problem.line), str(named.multiplicity))
        console.print(table)
    if workload.left_out:
        table = plain_table("left out", "operator", "why", "calls", numbers=1)
        for item in workload.left_out:
            table.add_row(escape(item.name), escape(item.operator), escape(item.reason), str(item.count))
        console.print(table)
    calls = sum(named.multiplicity for named in workload.problems)
    left = sum(item.count for item in workload.left_out)
    taken = f"{len(workload.problems)} problems in {calls} calls, {workload.flops / 1e9:.3g} GFLOP"
    console.print(f"{taken}; {left} calls left out", markup=False)
    if workload.note:
        console.print(workload.note, markup=False)
