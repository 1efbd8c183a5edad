import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

import harness
import reports
from harness.analysis.analyse import analyse
from harness.analysis.frames import arithmetic_table, blocks_frame, results_frame, samples_frame, semantics_table
from harness.analysis.run_comparison import compare_runs
from harness.analysis.schemas import (
    ARITHMETIC_COLUMNS,
    COMPARISON_COLUMNS,
    SEMANTICS_COLUMNS,
    VERDICT_COLUMNS,
    schema_table,
    semantics_columns,
)
from harness.analysis.statistics import estimate_time, pass_values
from harness.analysis.tables import BLOCK_COLUMNS, RESULT_COLUMNS, SAMPLE_COLUMNS, recorded_table, write_tables
from harness.laws.deviation import Deviation
from tests.conftest import ROOT
from tests.reports.made import PLAIN, make_run, measure, observe, result, time_cell

NAMES = {"string": "string", "int64": "Int64", "float64": "Float64", "bool": "boolean"}


@pytest.fixture(scope="module")
def run(mixed_run):
    return mixed_run


def test_a_frame_follows_the_documented_schema(run):
    for frame, columns in (
        (reports.frame(run), RESULT_COLUMNS),
        (reports.samples_frame(run), SAMPLE_COLUMNS),
        (reports.blocks_frame(run), BLOCK_COLUMNS),
    ):
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


BUSY = "the hypervisor took 17% of its time"


def test_a_timed_cell_tells_of_blocks_memory_and_its_mode():
    cell = time_cell(3, "mine", [1000.0, 2000.0], dropped={1: BUSY})
    on_device = replace(cell.measurement.passes[1], clock="cuda", mode="cold")
    other = replace(cell, cell=4, measurement=replace(cell.measurement, passes=(on_device,)))
    rows = reports.frame(make_run(cell, other)).set_index("cell")
    assert rows.loc[3, ["mode", "blocks", "dropped_blocks"]].to_list() == ["hot", 4, 1]
    assert rows.loc[3, ["memory_bytes", "workspace_bytes"]].to_list() == [8192, 64]
    assert pd.isna(rows.loc[3, "host_ns"])
    assert rows.loc[4, ["mode", "host_ns"]].to_list() == ["cold", 2000.0]  # 60 calls took 120 us


def test_samples_and_blocks_give_back_what_was_timed():
    cell = time_cell(3, "mine", [1000.0, 2000.0], dropped={1: BUSY})
    run = make_run(cell)
    samples, blocks = reports.samples_frame(run), reports.blocks_frame(run)
    assert samples["sample_ns"].to_list() == [ns for one in cell.measurement.passes for ns in one.samples_ns]
    assert samples["dropped"].to_list() == [""] * 3 + [BUSY] * 3 + [""] * 6
    assert blocks[["pass", "visit", "samples", "warmups"]].to_numpy().tolist() == [
        [0, 0, 3, 1], [0, 2, 3, 1], [1, 0, 3, 1], [1, 2, 3, 1],
    ]  # fmt: skip
    assert blocks["dropped"].to_list() == ["", BUSY, "", ""]
    assert blocks["steal_ticks"].to_list() == [1.0] * 4
    assert blocks["cpu_mhz"].isna().all()
    medians = samples.groupby(["pass", "block"])["sample_ns"].median()
    assert medians.to_list() == blocks["median_ns"].to_list() == [1000.0, 1000.0, 2000.0, 2000.0]


def test_the_median_is_what_its_column_says():
    cell = time_cell(3, "mine", [1000.0, 2000.0, 4000.0], dropped={0: BUSY})
    uneven = replace(cell.measurement.passes[2], samples_ns=(1000.0,) * 3 + (4000.0,) * 3)
    cell = replace(cell, measurement=replace(cell.measurement, passes=(*cell.measurement.passes[:2], uneven)))
    run = make_run(cell)
    blocks = reports.blocks_frame(run)
    kept = blocks[blocks["dropped"] == ""].assign(log=lambda rows: np.log(rows["median_ns"].astype(float)))
    by_hand = float(np.exp(kept.groupby("pass")["log"].mean().mean()))
    assert by_hand == pytest.approx((1000.0 * 2000.0 * 2000.0) ** (1 / 3))
    assert reports.frame(run)["median_ns"].to_list() == [pytest.approx(by_hand)]
    assert estimate_time(cell.measurement).value == pytest.approx(by_hand)
    assert len(pass_values(cell.measurement.passes)) == 3


def test_a_run_of_format_1_has_no_blocks_and_says_nothing_of_them():
    cell = time_cell(3, "mine", [1000.0, 2000.0])
    old = tuple(replace(one, blocks=(), memory_bytes=0, workspace_bytes=0) for one in cell.measurement.passes)
    run = make_run(replace(cell, measurement=replace(cell.measurement, passes=old)))
    row = reports.frame(run).iloc[0]
    assert row[["mode", "blocks", "dropped_blocks", "host_ns", "memory_bytes", "workspace_bytes"]].isna().all()
    assert row["median_ns"] == pytest.approx((1000.0 * 2000.0) ** 0.5)
    samples = reports.samples_frame(run)
    assert samples["block"].isna().all() and (samples["dropped"] == "").all() and len(samples) == 12
    assert reports.blocks_frame(run).empty


def test_blocks_are_stored_beside_samples_with_units(tmp_path):
    run = make_run(time_cell(3, "mine", [1000.0, 2000.0]))
    write_tables(replace(run, path=tmp_path))
    stored = pq.read_table(tmp_path / "blocks.parquet")
    assert stored.column_names == [column.name for column in BLOCK_COLUMNS]
    assert stored.schema.field("control_ns").metadata[b"unit"] == b"ns"
    assert stored["cell"].to_pylist() == reports.blocks_frame(run)["cell"].to_list()
    assert sum(stored["samples"].to_pylist()) == pq.read_metadata(tmp_path / "samples.parquet").num_rows == 12


def test_columns_of_blocks_and_verdicts_are_documented():
    text = (ROOT / "docs" / "reports.md").read_text()
    for column in (*BLOCK_COLUMNS, *VERDICT_COLUMNS):
        assert f"| `{column.name}` | {column.dtype} | {column.unit} | {column.meaning} |" in text, column.name


def test_what_is_wrong_has_no_time(run):
    frame = reports.frame(run)
    wrong = frame[frame["backend"].eq("faulty:scaled") & frame["operator"].eq("conv") & frame["law"].eq("")]
    assert set(wrong["outcome"]) == {"failed"}
    assert wrong["median_ns"].isna().all()


def test_nothing_is_folded_into_passed(run):
    counts = analyse(run).outcomes
    assert counts.to_numpy().sum() == run.header.cells
    failed = [one.arm for one in run.results if one.outcome == "failed"]
    assert counts.loc["faulty:scaled", "failed"] == failed.count("faulty:scaled") > 0
    assert counts.loc["fft", "unsupported"] > 0


def test_the_parquet_file_and_the_frame_agree(run):
    stored = pd.read_parquet(run.path / "results.parquet")
    frame = reports.frame(run)
    assert stored["problem"].to_list() == frame["problem"].to_list()
    assert stored["median_ns"].dropna().to_list() == frame["median_ns"].dropna().to_list()


def test_a_comparison_is_a_frame(run):
    frame = reports.comparison_frame(compare_runs(run, run))
    assert list(frame.columns) == [column.name for column in COMPARISON_COLUMNS]
    # Of a run whose passes were disturbed too few are left to compare; that is no claim either.
    assert set(frame["verdict"]) <= {"SAME", "UNCHANGED", "INCONCLUSIVE", "NOT COMPARABLE", "WRONG BEFORE"}
    blind = frame[frame["verdict"] == "NOT COMPARABLE"]["reason"]
    assert set(blind) <= {"timed in one process only; an interval needs at least two passes"}


def _semantics(*results):
    return semantics_table(reports.frame(make_run(*results))).set_index("law")


def test_the_tables_of_semantics_and_arithmetic_follow_their_schema():
    results = reports.frame(make_run(observe("a", "rule", "first"), measure("b", 24.0)))
    for frame, columns in (
        (semantics_table(results), semantics_columns(["a"])),
        (semantics_table(results[:0]), SEMANTICS_COLUMNS),
        (arithmetic_table(results), ARITHMETIC_COLUMNS),
        (arithmetic_table(results[:0]), ARITHMETIC_COLUMNS),
    ):
        assert list(frame.columns) == [column.name for column in columns]
        assert [str(dtype) for dtype in frame.dtypes] == [NAMES[column.dtype] for column in columns]
    schema = schema_table("semantics", "arithmetic", arms=["a"])
    assert schema["column"].to_list() == [c.name for c in (*semantics_columns(["a"]), *ARITHMETIC_COLUMNS)]


def test_semantics_have_a_row_for_a_law_and_a_column_for_a_backend():
    strided = f"{PLAIN} stride=2"
    table = _semantics(
        observe("a", "rule", "first"), observe("a", "rule", "last", "max_pool x=1x2x9 kernel=3"),
        observe("a", "rule", "first", strided), observe("b", "rule", "first"), observe("b", "other", "kept"),
        measure("b", 24.0),
    )  # fmt: skip
    assert list(table.index) == ["rule", "other"]
    assert table.loc["rule", "formula"] == "formula of rule"
    assert table.loc["rule", ["a", "b"]].to_list() == ["first; last (max_pool)", "first"]
    assert table["a"].isna().to_list() == [False, True]


def test_backends_differ_only_on_what_both_were_asked():
    more = observe("a", "rule", "last", f"{PLAIN} stride=2")
    same = (observe("a", "rule", "first"), observe("b", "rule", "first"))
    assert not _semantics(*same, more).loc["rule", "differs"]
    assert not _semantics(observe("a", "rule", "first"), observe("a", "rule", "last", more.problem)).loc[
        "rule", "differs"
    ]
    assert _semantics(*same, more, observe("b", "rule", "first", more.problem)).loc["rule", "differs"]


def test_what_ran_and_observed_nothing_shows_its_outcome():
    seen = observe("a", "rule", "taken")
    table = _semantics(seen, observe("b", "rule", "", outcome="error"), observe("c", "rule", "", outcome="unsupported"))
    assert table.loc["rule", "b"] == "error"
    assert table.loc["rule", "differs"]
    assert "c" not in table.columns


def _arithmetic(*results):
    return arithmetic_table(reports.frame(make_run(*results))).set_index(["backend", "operator", "dtype", "math"])


def test_arithmetic_counts_the_comparisons_on_real_data():
    key = ("a", "conv", "float32", "ieee")
    table = _arithmetic(
        measure("a", 23.0), measure("a", 20.0, f"{PLAIN} data=uniform"), measure("a", 26.0, law=""),
        measure("a", None, f"{PLAIN} stride=2"), measure("a", 3.0, outcome="failed"), measure("a", 24.0, vacuous=10),
        measure("a", 1.0, f"{PLAIN} data=integer"), measure("a", -9.0, f"{PLAIN} data=wide"),
        measure("a", 2.0, law="shift-equivariance"), measure("a", 11.0, f"{PLAIN} math=tf32"),
        measure("a", 50.0, f"{PLAIN} dtype=float64"),
    )  # fmt: skip
    assert [*table.index] == [key, (*key[:3], "tf32"), (*key[:2], "float64", "ieee")]
    row = table.loc[key]
    assert (row["least_bits"], row["median_bits"]) == (3.0, 23.0)
    assert (row["comparisons"], row["failed"], row["proves_nothing"]) == (6, 1, 1)
    assert pd.isna(row["arithmetic"]) and pd.isna(row["as_declared"])


def test_arithmetic_holds_the_measured_class():
    law = "arithmetic-is-declared"
    strided = f"{PLAIN} stride=2"
    table = _arithmetic(
        observe("a", law, "inputs in float32, sums in float32"), measure("a", 24.0),
        observe("b", law, "inputs in float32, sums in float32"),
        observe("b", law, "inputs in bfloat16, sums in float32", strided, outcome="failed"),
    ).droplevel([1, 2, 3])  # fmt: skip
    assert table["arithmetic"]["a"] == "inputs in float32, sums in float32"
    assert (
        table["arithmetic"]["b"] == "inputs in float32, sums in float32; inputs in bfloat16, sums in float32 (1 of 2)"
    )
    assert table["as_declared"].to_dict() == {"a": True, "b": False}
    assert table["comparisons"].to_dict() == {"a": 1, "b": 0}


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    return harness.run(
        "correctness", "speed-short", backends=["numpy-direct", "fft"], problems=["conv x=2x2x9x11 w=3x2x3x3 pad=1"],
        laws=["agrees-with-reference", "arithmetic-is-declared", "nan-stays-local", "repeats-to-the-bit"],
        output=tmp_path_factory.mktemp("runs") / "run",
    )  # fmt: skip


@pytest.mark.slow
def test_a_transform_is_told_from_a_window(compared):
    results = reports.frame(compared)
    semantics = semantics_table(results).set_index("law")
    assert semantics["differs"].to_dict() == {
        "arithmetic-is-declared": True, "nan-stays-local": True, "repeats-to-the-bit": False,
    }  # fmt: skip
    arithmetic = arithmetic_table(results).set_index("backend")
    assert arithmetic["comparisons"].to_dict() == {"numpy-direct": 2, "fft": 2}
    assert arithmetic["arithmetic"]["fft"] != arithmetic["arithmetic"]["numpy-direct"]
    bits = results.groupby("backend")["effective_bits"].min()
    assert arithmetic["least_bits"].to_dict() == bits.to_dict()
    assert bits["fft"] < bits["numpy-direct"]


def test_frames_after_writing_are_made_of_what_was_written_and_equal_to_others(tmp_path):
    """NaN stays a number in what is written, and is missing in frames."""
    odd = Deviation(kind="bound", worst=math.nan, compared=3)
    law = replace(result("mine", "law", PLAIN, "failed", odd), cell=1)
    run = replace(make_run(time_cell(0, "mine", [1000.0, 2000.0]), law), path=tmp_path)
    wanted = [frame(run) for frame in (results_frame, samples_frame, blocks_frame)]
    assert wanted[0]["worst"].isna()[1]
    write_tables(run)
    assert math.isnan(pq.read_table(tmp_path / "results.parquet")["worst"].to_pylist()[1])
    for _ in range(2):  # what was written is used once, then made again
        for frame, same in zip((results_frame, samples_frame, blocks_frame), wanted, strict=True):
            pd.testing.assert_frame_equal(frame(run), same)


def test_what_was_written_is_used_once(tmp_path, monkeypatch):
    run = replace(make_run(time_cell(0, "mine", [1000.0, 2000.0])), path=tmp_path)
    write_tables(run)
    made = []
    monkeypatch.setattr("harness.analysis.tables.make_table", lambda *given: made.append(given))
    assert recorded_table(run, "results").num_rows == 1 and not made
    recorded_table(run, "results")
    assert len(made) == 1
