"""Making problems that are valid by construction: drawn, covering, and on the specialised paths of libraries.

`TINY`, `VOLUME`: the `Tier` of small problems, and of those with three axes.
`CoverageState`: state of a condition, or of two together: asked, not run, never asked or impossible.
`TAILS`: sizes of an axis on both sides of the widths of registers and tiles, in elements.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.generate.build import Choices, build_problem, spread_choices
    from harness.generate.covering import covering_problems
    from harness.generate.dispatch.counts import count_problems
    from harness.generate.dispatch.coverage import Coverage, CoverageState, Gap, list_conditions, list_gaps
    from harness.generate.dispatch.precise import precise_problems
    from harness.generate.dispatch.problems import (
        ask_elements,
        costly_dispatch_problems,
        dispatch_problems,
        with_long_numbers,
    )
    from harness.generate.dispatch.rare import rare_problems
    from harness.generate.domains import TAILS, TINY, VOLUME, Tier
    from harness.generate.spreading import spread_laws
else:
    from harness.lazy import load_lazily

    __getattr__, __dir__ = load_lazily(
        __name__,
        {
            "build": "Choices build_problem spread_choices",
            "covering": "covering_problems",
            "dispatch.counts": "count_problems",
            "dispatch.coverage": "Coverage CoverageState Gap list_conditions list_gaps",
            "dispatch.precise": "precise_problems",
            "dispatch.problems": "ask_elements costly_dispatch_problems dispatch_problems with_long_numbers",
            "dispatch.rare": "rare_problems",
            "domains": "TAILS TINY Tier VOLUME",
            "spreading": "spread_laws",
        },
    )

__all__ = [
    "TAILS", "TINY", "VOLUME", "Choices", "Coverage", "CoverageState", "Gap", "Tier", "ask_elements", "build_problem",
    "costly_dispatch_problems", "count_problems", "covering_problems", "dispatch_problems", "list_conditions",
    "list_gaps", "precise_problems", "rare_problems", "spread_choices", "spread_laws", "with_long_numbers",
]  # fmt: skip
