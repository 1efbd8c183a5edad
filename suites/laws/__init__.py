"""The laws, by what they speak of; each is a function whose docstring begins with its formula."""

from harness import Law
from suites.laws import anchors, convolution, declarations, gradients, kernels, pooling, reference, structure


def all_laws() -> tuple[Law, ...]:
    """Every law of this package."""
    modules = (reference, convolution, anchors, structure, gradients, pooling, kernels, declarations)
    found = {id(value): value for module in modules for value in vars(module).values() if isinstance(value, Law)}
    return (*found.values(), *kernels.KERNEL_LAWS)
