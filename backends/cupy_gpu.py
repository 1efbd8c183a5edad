"""The generic backends on CuPy arrays: matrix products by cuBLAS (`cupy`), Fourier transforms by cuFFT (`cupy-fft`).

Nothing is computed here. The code of `backends.im2col` and `backends.fft` goes through the library of its arrays, so
the code that NumPy checks on any machine is the code that runs on the GPU.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar

from backends.fft import FFT
from backends.im2col import Im2col
from harness import Backend, Numerics, Operator, Problem, hookimpl
from harness.backend import SwitchName
from harness.problems import Array, DeviceArray, Outputs

NOT_INSTALLED = "cupy is not installed; install the extra: pip install 'conv-harness[cuda]'"
BLOCK_BYTES = 256 << 20  # a GPU has no cache to stay in, and needs large products and transforms to be busy


PRODUCTS = (Operator.conv, Operator.conv_input_grad, Operator.conv_weight_grad, Operator.conv_transpose)


def rounds_to_tf32() -> bool:
    """Return True if CuPy lets cuBLAS round float32 to TF32, according to the environment variable that switches it."""
    return os.environ.get("CUPY_TF32", "0") not in ("", "0")


class OnCupy(Backend):
    """Mixin with the CUDA side of a backend that computes through the namespace of its arrays."""

    device = "cuda"
    instruction_sets: ClassVar[tuple[SwitchName, ...]] = ()
    clock = "cuda"
    block_bytes: ClassVar[int] = BLOCK_BYTES

    def probe(self) -> str | None:
        """Sum three ones on the device."""
        try:
            import cupy
        except ModuleNotFoundError:
            return NOT_INSTALLED
        except (ImportError, OSError) as error:
            return f"cupy cannot be imported: {type(error).__name__}: {error}"
        if not hasattr(cupy, "__version__"):  # a folder that happens to be called cupy imports without an error
            return NOT_INSTALLED
        if not cupy.cuda.is_available():
            return f"no CUDA device: cupy.cuda.is_available() is False (cupy {cupy.__version__})"
        try:
            got = float(cupy.ones(3).sum())
        except Exception as error:
            return f"cupy {cupy.__version__} cannot sum on {self.device}: {type(error).__name__}: {error}"
        return None if got == 3.0 else f"cupy {cupy.__version__} gives 1+1+1 = {got} on {self.device}"

    def numerics_for(self, problem: Problem) -> Numerics:
        """Gradients of maximum pooling come from `cupy.bincount`, which adds by atomic operations in any order."""
        if problem.operator is Operator.max_pool_grad:
            return replace(self.numerics, deterministic=False)
        return self.numerics

    def to_device(self, array: Array) -> DeviceArray:
        """Copy a NumPy array to the device; channels that lie last are sent as such, which CuPy would reorder."""
        import cupy
        import numpy as np

        if array.ndim < 3 or array.flags.c_contiguous or not np.moveaxis(array, 1, -1).flags.c_contiguous:
            return cupy.asarray(array)
        return cupy.moveaxis(cupy.asarray(np.moveaxis(array, 1, -1)), -1, 1)

    def to_host(self, array: DeviceArray) -> Array:
        """Copy an array back from the device."""
        import cupy

        host: Array = cupy.asnumpy(array)
        return host

    def synchronize(self, result: Outputs = None) -> None:
        """Wait for the device."""
        import cupy

        cupy.cuda.Device().synchronize()

    def versions(self) -> dict[str, str]:
        """Versions of CuPy and of the CUDA runtime that it uses, the latter as 1000 major + 10 minor."""
        import cupy

        return {"cupy": cupy.__version__, "cuda": str(cupy.cuda.runtime.runtimeGetVersion())}


class CupyIm2col(OnCupy, Im2col):
    """Columns on CuPy, products by cuBLAS."""

    name = "cupy"
    pool_bytes = BLOCK_BYTES

    def numerics_for(self, problem: Problem) -> Numerics:
        """Float32 products round their inputs to TF32 where the variable CUPY_TF32 asks for it."""
        declared = super().numerics_for(problem)
        if problem.dtype == "float32" and problem.operator in PRODUCTS and rounds_to_tf32():
            return replace(declared, rounds_input_to="tf32")
        return declared


class CupyFFT(OnCupy, FFT):
    """Fourier transforms by cuFFT."""

    name = "cupy-fft"


@hookimpl
def register_backends(register: Callable[[Backend], None]) -> None:
    """Register both backends."""
    register(CupyIm2col())
    register(CupyFFT())
