"""Suite `suite`: the default whole, correctness and a short speed part."""

from __future__ import annotations

from collections.abc import Callable

from harness import Law, Suite, hookimpl


@hookimpl
def register_suites(register: Callable[[Suite | Law], None]) -> None:
    """Register the whole."""
    register(
        Suite(
            name="suite",
            kind="whole",
            description="the default: is it right, and how fast",
            parts=("correctness", "speed-short"),
        )
    )
