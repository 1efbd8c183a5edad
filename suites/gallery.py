"""Suite `gallery`: well-known kernels over a photograph on every backend, to be seen side by side."""

from __future__ import annotations

from collections.abc import Callable

from harness import Law, NamedProblem, Suite, hookimpl
from suites.laws.gallery import GALLERY, LAWS, make_problem


def gallery_problems() -> tuple[NamedProblem, ...]:
    """A problem for each size of kernel; several kernels share one."""
    sizes = dict.fromkeys(kernel().shape for _, kernel in GALLERY.values())
    return tuple(NamedProblem(name=f"gallery/{'x'.join(map(str, size))}", problem=make_problem(size)) for size in sizes)


@hookimpl
def register_suites(register: Callable[[Suite | Law], None]) -> None:
    """Register the laws of the gallery and the suite."""
    for law in LAWS:
        register(law)
    register(
        Suite(
            name="gallery",
            kind="correctness",
            description="well-known kernels over a photograph, side by side, and how bright they leave it",
            problems=gallery_problems,
            laws=tuple(law.name for law in LAWS),
        )
    )
