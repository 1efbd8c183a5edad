"""Problems taken from a user's own model: what it calls, with shapes and multiplicities.

`ONNX_OPERATORS`: type of an ONNX node -> operator.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.capture.onnx_window import ONNX_OPERATORS, make_onnx_window
else:
    from harness.lazy import load_lazily

    __getattr__, __dir__ = load_lazily(
        __name__,
        {
            "onnx_window": "ONNX_OPERATORS make_onnx_window",
        },
    )

__all__ = ["ONNX_OPERATORS", "make_onnx_window"]
