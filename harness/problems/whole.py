"""Whole numbers of records and messages."""

from __future__ import annotations

from typing import Annotated

import msgspec

# Every program that reads JSON holds such a number exactly, and sums of many of them fit into 64 bits. In nanoseconds
# it is 104 days, in bytes 8 PiB.
MOST = 2**53
Whole = Annotated[int, msgspec.Meta(ge=-MOST, le=MOST)]
