"""The folder in which the harness keeps what outlives a run: qualifications of machines, seals of running journals."""

from __future__ import annotations

import os
from pathlib import Path

VARIABLE = "HARNESS_STATE_DIR"


def state_folder() -> Path:
    """Return the folder named by HARNESS_STATE_DIR, or conv-harness in the user's cache."""
    given = os.environ.get(VARIABLE)
    if given:
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "conv-harness"
