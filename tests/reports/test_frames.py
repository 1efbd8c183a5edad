import pandas as pd
import pytest

import harness
import reports
from harness.record.tables import RESULT_COLUMNS, SAMPLE_COLUMNS
from harness.timing.compare import compare_runs
from reports.frames import COMPARISON_COLUMNS, outcome_counts, schema_table
from tests.conftest import FAULTY

PROBLEMS = ("conv x=1x2x9 w=3x2x3 data=integer", "conv x=2x2x9 w=3x2x3", "max_pool x=1x2x9 kernel=3")
NAMES = {"string": "string", "int64": "Int64", "float64": "Float64", "bool": "boolean"}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return harness.run(
        "correctness", "speed-short", backends=["im2col", "fft", "faulty:scaled"], problems=PROBLEMS, plugins=FAULTY,
        output=tmp_path_factory.mktemp("runs") / "run",
    )  # fmt: skip


def test_a_frame_follows_the_documented_schema(run):
    for frame, columns in ((reports.frame(run), RESULT_COLUMNS), (reports.samples_frame(run), SAMPLE_COLUMNS)):
        assert list(frame.columns) == [column.name for column in columns]
        assert [str(dtype) for dtype in frame.dtypes] == [NAMES[column.dtype] for column in columns]
        assert len(frame) > 0
    assert set(schema_table()["column"]) >= {column.name for column in RESULT_COLUMNS}


def test_a_frame_says_what_the_run_says(run):
    frame = reports.frame(run)
    assert len(frame) == run.header.cells
    assert frame["outcome"].value_counts().to_dict() == {name: n for name, n in run.counts.items() if n}
    timed = frame[frame["median_ns"].notna()]
    assert set(timed["outcome"]) == {"passed"}
    assert ((timed["low_ns"] <= timed["median_ns"]) & (timed["median_ns"] <= timed["high_ns"])).all()
    assert (timed["gflops"] * timed["median_ns"]).to_list() == pytest.approx((timed["gflop"] * 1e9).to_list())
    samples = reports.samples_frame(run)
    assert samples.groupby("cell").size().to_dict() == timed.set_index("cell")["samples"].to_dict()


def test_what_is_wrong_has_no_time(run):
    frame = reports.frame(run)
    wrong = frame[frame["backend"].eq("faulty:scaled") & frame["operator"].eq("conv") & frame["law"].eq("")]
    assert set(wrong["outcome"]) == {"failed"}
    assert wrong["median_ns"].isna().all()


def test_nothing_is_folded_into_passed(run):
    counts = outcome_counts(reports.frame(run))
    assert counts.to_numpy().sum() == run.header.cells
    assert counts.loc["faulty:scaled", "failed"] == sum(one.outcome == "failed" for one in run.results) > 0
    assert counts.loc["fft", "unsupported"] > 0


def test_the_parquet_file_and_the_frame_agree(run):
    stored = pd.read_parquet(run.path / "results.parquet")
    frame = reports.frame(run)
    assert stored["problem"].to_list() == frame["problem"].to_list()
    assert stored["median_ns"].dropna().to_list() == frame["median_ns"].dropna().to_list()


def test_a_comparison_is_a_frame(run):
    frame = reports.comparison_frame(compare_runs(run, run))
    assert list(frame.columns) == [column.name for column in COMPARISON_COLUMNS]
    assert set(frame["verdict"]) <= {"SAME", "UNCHANGED", "INCONCLUSIVE"}
