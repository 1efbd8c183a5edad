"""Names of libraries whose instruction set can be lowered, as backends declare them in `instruction_sets`."""

from __future__ import annotations

from typing import Literal, get_args

SwitchName = Literal["onednn", "aten", "openblas", "numpy", "mkl"]
SWITCHES: frozenset[SwitchName] = frozenset(get_args(SwitchName))
