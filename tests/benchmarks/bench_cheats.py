"""Time that a partial cache would save in a reported time, and the rate of its detection: a table.

`python -m tests.benchmarks.bench_cheats [SESSIONS]`; some minutes. Each cheat caches some of ten images by their
contents, and is timed in turns with the same backend without a cache. Without renewal, as for integers, the time is the
cheat's; `said` counts the sessions that call it remembered, `cannot tell` the sessions with too much noise. One
thread; sessions in this process, so that nothing is asked again in a fresh one.
"""

from __future__ import annotations

import statistics
import sys

from harness import BackendUnderTest, parse_line
from harness.worker.host.honesty import find_remembered
from harness.worker.host.timed_problem import open_session, sample
from harness.worker.outcome import CannotTellError
from harness.worker.protocol import Prepare, Sample
from tests.cheats.partial import Incremental, Share

SESSIONS = 10
LINES = ("conv x=10x1x8x8 w=1x1x3x3", "conv x=10x8x24x24 w=16x8x3x3 pad=1")
REGIMES = ("normal", "integer")
REQUEST = Sample(budget_ns=20_000_000, warm_ns=0, least=2)


class Tenths(Share):
    """So many images of ten."""

    name = "cheat:tenths"

    def __init__(self, tenths: int) -> None:
        super().__init__()
        self.tenths = tenths


def main(arguments: list[str]) -> None:
    """Print a line for each problem, regime and cheat."""
    sessions = int(arguments[0]) if arguments else SESSIONS
    print(f"{'problem and data':<62}{'remembers':>12}{'time / honest':>15}{'said':>10}{'cannot tell':>13}")
    for line in LINES:
        for regime in REGIMES:
            for name, make in (
                *((f"{10 * tenths} %", lambda tenths=tenths: Tenths(tenths)) for tenths in (0, 1, 2, 5, 10)),
                ("what stayed", Incremental),
            ):
                ratio, said, unsure = measure(make, f"{line} data={regime}", sessions)
                print(
                    f"{line + ' data=' + regime:<62}{name:>12}{ratio:>15.2f}{said:>7}/{sessions}{unsure:>10}/{sessions}"
                )


def measure(make, line: str, sessions: int) -> tuple[float, int, int]:
    """Return the ratio of the times of cheat and honest backend, and the numbers of detected and undecided runs."""
    ratios, said, unsure = [], 0, 0
    for _ in range(sessions):
        pair = [_open(backend, line) for backend in (make(), Tenths(0))]
        try:
            said += bool(find_remembered(pair[0]))
        except CannotTellError:
            unsure += 1
        times = [[], []]
        for side in (0, 1, 1, 0):
            times[side] += sample(pair[side], REQUEST).samples_ns
        ratios.append(min(times[0]) / min(times[1]))
    return statistics.median(ratios), said, unsure


def _open(backend, line: str):
    return open_session(BackendUnderTest(backend, parse_line(line)), Prepare(problem=line, number=0, probe=False))


if __name__ == "__main__":
    main(sys.argv[1:])
