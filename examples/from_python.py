"""The Python face: time three backends on two layers and print who is fastest; `python examples/from_python.py`."""

import tempfile

import harness
import reports

LAYERS = (
    "conv x=4x16x28x28 w=32x16x3x3 pad=1",
    "conv x=4x16x28x28 w=32x16x7x7 pad=3",
)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        run = harness.run(
            "correctness", "speed-short", backends=["im2col", "fft", "numpy-direct"], problems=LAYERS,
            output=f"{folder}/run",
        )  # fmt: skip
        frame = reports.frame(run)
    print(frame.groupby(["backend", "outcome"]).size().to_string())
    timed = frame[frame["median_ns"].notna()]
    for problem, rows in timed.groupby("problem"):
        best = rows.loc[rows["median_ns"].idxmin()]
        print(f"{problem}: {best['backend']} takes {best['median_ns'] / 1e6:.2f} ms, {best['gflops']:.1f} GFLOP/s")


if __name__ == "__main__":
    main()
