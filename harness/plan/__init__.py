"""Plans: suites, problem sets, cells, and the pure function that plans them.

`harness` names suites and problem sets; other names of this room for plugins are public here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.plan.bug import KnownBug
    from harness.plan.task import estimate_work
else:
    from harness.lazy import load_lazily

    __getattr__, __dir__ = load_lazily(
        __name__,
        {
            "bug": "KnownBug",
            "task": "estimate_work",
        },
    )

__all__ = ["KnownBug", "estimate_work"]
