"""Capture of a torch module: it runs once while its calls are counted.

It runs on fake tensors, which have shapes, dtypes and devices but no memory. A module that reads values (as in `if
x.max() > 0`) cannot run on them, and runs on real random tensors instead.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.capture.workload import Workload
from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.capture.torch_calls import Recorder

NOT_INSTALLED = "torch is not installed, wanted it to capture a torch module: pip install 'conv-harness[torch]'"
WANTED = "package.module:name or ./file.py:name, a torch module or what builds one"
SHAPE = re.compile(r"(\d+(?:x\d+)*)(?::(\w+))?")
LOOKS_AT_NUMBERS = frozenset({  # errors of fake tensors when a program reads their values
    "DataDependentOutputException", "DynamicOutputShapeException", "GuardOnDataDependentSymNode",
    "UnsupportedFakeTensorException", "UnsupportedOperatorException",
})  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Want:
    """Settings of the captured run.

    inputs: one text for each argument, such as 1x3x224x224 or 1x16:int64. dtype: for inputs that name none.
    backward: True to compute the gradients of the parameters too. input_grad: True for those of the inputs as well.
    """

    inputs: Sequence[str]
    dtype: str = "float32"
    backward: bool = True
    input_grad: bool = False


def capture_torch(target: str, want: Want) -> Workload:
    """Build the module and count its calls. Raises UsageError, including the module's own message, if it cannot run."""
    if not has_torch():
        raise UsageError(NOT_INSTALLED)
    module = build_module(target)
    shapes = [read_shape(text, want.dtype) for text in want.inputs]
    if not shapes:
        raise UsageError("input: got none, wanted a shape for each argument of the model, such as --input 1x3x224x224")
    note = "on shapes alone, without numbers"
    try:
        try:
            recorder = run_module(module, shapes, want, fake=True)
        except Exception as error:
            if not LOOKS_AT_NUMBERS & {type(one).__name__ for one in (error, error.__cause__)}:
                raise
            note = "on real random numbers, as it looks at them"
            recorder = run_module(module, shapes, want, fake=False)
    except UsageError:
        raise
    except (Exception, SystemExit) as error:  # the user's own program may raise anything
        given = ", ".join(want.inputs)
        raise UsageError(f"capture: '{target}' cannot run on {given} ({say(error)}); wanted its inputs") from error
    return recorder.tally.finish(f"torch:{target} {' '.join(want.inputs)}", note)


def has_torch() -> bool:
    """Return True if torch can be imported; a stray folder of that name has no version."""
    try:
        import torch
    except (ImportError, OSError):
        return False
    return hasattr(torch, "__version__")


def say(error: BaseException) -> str:
    """Return the type of an error and its first line."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


# --- the module and its inputs -----------------------------------------------------------------------------------


def build_module(target: str) -> Any:
    """Return the module that `package.module:name` is or builds. Raises UsageError if there is none."""
    import torch

    place, colon, name = target.rpartition(":")
    if not colon or not place or not name:
        raise UsageError(f"capture: got 'torch:{target}', wanted torch:{WANTED}")
    found: Any = import_place(place)
    for part in name.split("."):
        if not hasattr(found, part):
            raise UsageError(f"capture: '{place}' has no '{name}', wanted {WANTED}")
        found = getattr(found, part)
    if isinstance(found, torch.nn.Module):
        return found
    if not callable(found):
        raise UsageError(f"capture: '{target}' is {found!r:.80}, wanted a torch module or what builds one")
    try:
        module = found()
    except (Exception, SystemExit) as error:  # the user's own program may raise anything
        raise UsageError(
            f"capture: '{target}' cannot build ({say(error)}), wanted it to give a module without arguments"
        ) from error
    if not isinstance(module, torch.nn.Module):
        raise UsageError(f"capture: '{target}' gives {type(module).__name__}, wanted a torch.nn.Module")
    return module


def import_place(place: str) -> Any:
    """Import a module by name, also from the current folder, or from a file. Raises UsageError."""
    try:
        if not place.endswith(".py"):
            if "" not in sys.path and str(Path.cwd()) not in sys.path:
                sys.path.insert(0, str(Path.cwd()))
            return importlib.import_module(place)
        path = Path(place).expanduser().resolve()
        if not path.is_file():
            raise UsageError(f"capture: got '{place}', no such file, wanted {WANTED}")
        spec = importlib.util.spec_from_file_location(f"harness_captured_{path.stem}", path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # dataclasses and pickles look it up here
        spec.loader.exec_module(module)
        return module
    except UsageError:
        raise
    except (Exception, SystemExit) as error:  # the user's own program may raise anything
        raise UsageError(f"capture: '{place}' cannot be imported ({say(error)}), wanted {WANTED}") from error


def read_shape(text: str, dtype: str) -> tuple[tuple[int, ...], Any]:
    """Parse a shape such as 1x3x224x224 or 1x16:int64, with its torch dtype. Raises UsageError."""
    import torch

    found = SHAPE.fullmatch(text.strip())
    if not found:
        raise UsageError(f"input: got '{text}', wanted a shape such as 1x3x224x224, or 1x16:int64 with its dtype")
    name = found[2] or dtype
    kind = getattr(torch, name, None)
    if not isinstance(kind, torch.dtype):
        raise UsageError(f"dtype: got '{name}', wanted one of torch, such as float32, bfloat16 or int64")
    return tuple(map(int, found[1].split("x"))), kind


# --- the run -----------------------------------------------------------------------------------------------------


def run_module(module: Any, shapes: Sequence[tuple[tuple[int, ...], Any]], want: Want, *, fake: bool) -> Recorder:
    """Call the module once, with its gradients if wanted, while all calls are counted.

    shapes: (shape, torch dtype) of each argument. want: settings of the run. fake: True for fake tensors, False for
        copies of the real weights. Propagates all errors of the module.
    """
    from contextlib import ExitStack

    import torch
    from torch._subclasses.fake_tensor import FakeTensorMode

    from harness.capture.torch_calls import Functions, Recorder

    recorder = Recorder({id(one): name for name, one in module.named_modules()})
    weights = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    device = next((one.device for one in weights.values()), torch.device("cpu"))
    with ExitStack() as stack:
        if fake:
            mode = FakeTensorMode(allow_non_fake_inputs=True)
            weights = {name: mode.from_tensor(one) for name, one in weights.items()}
            stack.enter_context(mode)
        else:
            weights = {name: one.detach().clone().requires_grad_(one.requires_grad) for name, one in weights.items()}
        arguments = [make_input(shape, kind, device, grad=want.input_grad) for shape, kind in shapes]
        stack.enter_context(recorder.follow_modules())
        stack.enter_context(recorder)
        stack.enter_context(Functions(recorder))
        stack.enter_context(torch.set_grad_enabled(want.backward))
        result = torch.func.functional_call(module, weights, tuple(arguments))
        if want.backward:
            recorder.backwards = True
            run_backward(result)
    return recorder


def make_input(shape: tuple[int, ...], kind: Any, device: Any, *, grad: bool) -> Any:
    """Draw normal random numbers for a floating dtype, zeros and ones for any other.

    shape, kind, device: shape, torch dtype and device of the tensor. grad: True if a floating input requires a
        gradient.
    """
    import torch

    if not kind.is_floating_point:
        return torch.randint(0, 2, shape, device=device).to(kind)
    return torch.randn(shape, device=device).to(kind).requires_grad_(grad)


def run_backward(result: Any) -> None:
    """Compute the gradients of the sum of all outputs that require one."""
    from torch.utils._pytree import tree_leaves

    sums = [one.sum() for one in tree_leaves(result) if getattr(one, "requires_grad", False)]
    if sums:
        sum(sums[1:], sums[0]).backward()
