"""The laws, by subject; each is a function whose docstring begins with its formula."""

from harness import Law
from suites.laws import (
    anchors,
    arithmetic,
    blocks,
    complexes,
    concurrency,
    convolution,
    declarations,
    gradients,
    history,
    kernels,
    matrices,
    maximum,
    mean,
    memory,
    parts,
    pool_gradients,
    precision,
    reference,
    refusals,
    semantics,
    spectrum,
    structure,
    threads,
    windows,
)


def all_laws() -> tuple[Law, ...]:
    """Every law of this package."""
    modules = (
        reference, convolution, anchors, structure, parts, matrices, spectrum, precision, complexes, gradients, blocks,
        windows, maximum, mean, pool_gradients, kernels, declarations, arithmetic, semantics, memory, history,
        concurrency, threads, refusals,
    )  # fmt: skip
    return tuple(value for module in modules for value in vars(module).values() if isinstance(value, Law)) + (
        kernels.KERNEL_LAWS
    )
