"""The contract of a backend, and how each of its operators is found: native, derived or unsupported.

`harness.Backend` is the base of every backend; what else plugins use of this room is public here.

`SwitchName`: the names of libraries that `Backend.instruction_sets` may hold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.backend.base import native_operators
    from harness.backend.routing import Route, UnsupportedError, find_route, refusal_reason
    from harness.backend.switches import SwitchName
else:
    from harness.lazy import load_lazily

    __getattr__, __dir__ = load_lazily(
        __name__,
        {
            "base": "native_operators",
            "routing": "Route UnsupportedError find_route refusal_reason",
            "switches": "SwitchName",
        },
    )

__all__ = ["Route", "SwitchName", "UnsupportedError", "find_route", "native_operators", "refusal_reason"]
