"""The contract of a backend, and how each of its operators is found: native, derived or unsupported.

`harness.Backend` is the base of every backend; what else plugins use of this room is public here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.backend.base import native_operators
    from harness.backend.routing import Route, UnsupportedError, find_route, refusal_reason
else:
    from harness.lazy import load_lazily

    __getattr__, __dir__ = load_lazily(
        __name__,
        {
            "base": "native_operators",
            "routing": "Route UnsupportedError find_route refusal_reason",
        },
    )

__all__ = ["Route", "UnsupportedError", "find_route", "native_operators", "refusal_reason"]
