"""Seconds and memory of a run of suite `limits`: python -m tests.benchmarks.limits_table RUN"""

import sys

import harness

GIB = 2**30


def main(path):
    """Print a row for each result: arrays, peaks of the process, the backend's need and the harness's share.

    The share is the memory of the process in addition to the arrays while it draws and checks, interpreter and
    libraries
    included, in units of the arrays.
    """
    print("| problem | outcome | s | arrays GiB | backend GiB | peak drawing, calling, checking GiB | harness |")
    print("|---|---|---|---|---|---|---|")
    for result in harness.load(path).results:
        cells = [result.label.removeprefix("limits/"), result.outcome, f"{result.seconds:.0f}"]
        figures = result.attachments.figures if result.attachments else {}
        if figures:
            arrays = figures["array bytes"]
            peaks = [figures[f"peak {name}"] for name in ("while drawing", "of the call", "while checking")]
            share = (max(peaks[0], peaks[2]) - arrays) / arrays
            cells += [f"{arrays / GIB:.2f}", f"{(peaks[1] - arrays) / GIB:.2f}"]
            cells += [", ".join(f"{peak / GIB:.2f}" for peak in peaks), f"{share:.3f}"]
        print(f"| {' | '.join(cells)} | {result.backend if not figures else ''} {result.reason[:160]}")


if __name__ == "__main__":
    main(sys.argv[1])
