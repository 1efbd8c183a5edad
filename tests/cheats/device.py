"""Cheats that only a CUDA device allows; their answers look right, and their work is not done when it is timed."""

import itertools

import harness
from backends.cupy_gpu import CupyIm2col
from backends.torch_cudnn import TorchCudnn


class OnTorch(TorchCudnn):
    """PyTorch's names for what the cheats need."""

    def side(self):
        import torch

        stream = torch.cuda.Stream()
        return lambda: torch.cuda.stream(stream)

    def wait_for_own_stream(self):
        import torch

        torch.cuda.current_stream().synchronize()

    def take_memory(self, like):
        return like.new_empty(like.shape)


class OnCupy(CupyIm2col):
    """CuPy's names for the same."""

    def side(self):
        import cupy

        stream = cupy.cuda.Stream(non_blocking=True)
        return lambda: stream

    def wait_for_own_stream(self):
        import cupy

        cupy.cuda.get_current_stream().synchronize()

    def take_memory(self, like):
        import cupy

        return cupy.empty_like(like)


class Honest:
    """None of it."""

    cheat_name = "honest"


class NeverWaits:
    """The host's clock, and a `synchronize` that waits for nothing: what is timed is the launch (KernelBench#82)."""

    cheat_name = "never-waits"
    clock = "host"

    def synchronize(self):
        pass


class AnotherStream:
    """The work is put on a stream that neither the events nor `synchronize` see (KernelBench#82)."""

    cheat_name = "another-stream"

    def synchronize(self):
        self.wait_for_own_stream()

    def prepare(self, problem, arrays):
        call, enter = super().prepare(problem, arrays), self.side()

        def leave():
            with enter():
                return call()

        return leave


class FreedMemory:
    """After the first call the answer is new memory, in which the allocator left the answer before (KernelBench#82)."""

    cheat_name = "freed-memory"

    def prepare(self, problem, arrays):
        call, calls, seen = super().prepare(problem, arrays), itertools.count(), []

        def leave():
            if next(calls) == 0:
                y = call()
                seen.append(self.take_memory(y))  # of the right form; never filled
                return y
            return self.take_memory(seen[0])

        return leave


KINDS = (Honest, NeverWaits, AnotherStream, FreedMemory)
LIBRARIES = {"torch": OnTorch, "cupy": OnCupy}


def make_backends():
    """Every cheat on both libraries."""
    for library, base in LIBRARIES.items():
        for kind in KINDS:
            yield type(f"{library}-{kind.__name__}", (kind, base), {"name": f"cheat:{library}-{kind.cheat_name}"})()


@harness.hookimpl
def register_backends(register):
    for backend in make_backends():
        register(backend)
