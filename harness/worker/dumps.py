"""The folder of a counter's dumps, which is removed even if the run is killed."""

from __future__ import annotations

import contextlib
import select
import shutil
import threading
import time
from pathlib import Path

LATER_S = 1.0  # after the end of a run, in which the backend's process may end by itself


def make_folder(folder: Path, source: int | None) -> None:
    """Make the folder, and remove it soon after the run has closed its pipe, as it does when it is killed.

    source: descriptor of the pipe of the run's requests; None if it need not be watched.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if source is not None:
        threading.Thread(target=_remove_later, args=(folder, source), daemon=True).start()


def remove_folder(folder: Path) -> None:
    """Remove the folder, and that of the run if it was the last in it."""
    shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(OSError):
        folder.parent.rmdir()


def _remove_later(folder: Path, source: int) -> None:
    poll = select.poll()
    poll.register(source, 0)  # a closed end is reported all the same
    poll.poll()
    time.sleep(LATER_S)
    remove_folder(folder)
