"""Data regimes that whole kinds of operators do not permit, with the reasons."""

from __future__ import annotations

DISTINCT = "distinct data has no ties and belongs to pooling; wanted other data"
SUBNORMAL = "subnormal data is for exact sums and maxima; wanted other data"
SUMS = {"distinct": DISTINCT}
MEANS = {"subnormal": SUBNORMAL}
