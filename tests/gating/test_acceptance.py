"""Known changes do not fail a build, as long as they are what was accepted."""

from dataclasses import replace

import pytest

from harness.analysis.analyse import analyse
from harness.errors import UsageError
from harness.gating.acceptance import write_acceptance
from harness.gating.blessings import FILE, Blessing, Ratio, add_blessing
from harness.record.acceptance import FILE as ACCEPTED
from tests.gating.twenty import SETTINGS, add, make_repository
from tests.reports.made import PLAIN, compare_arms, spread, time_cell


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """Its folder and its three commits."""
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    folder = tmp_path / "repository"
    return folder, make_repository(folder, [add("README.md", f"{n}\n") for n in range(2)])


def _run(tmp_path, hashes, slower=1050.0):
    run = compare_arms(time_cell(0, "base", spread(1000.0)), time_cell(1, "new", spread(slower)))
    arms = tuple(replace(arm, revision=one) for arm, one in zip(run.header.arms, hashes, strict=True))
    gate = replace(run.header.gate, armed=True)
    return replace(run, path=tmp_path, header=replace(run.header, arms=arms, gate=gate))


def _bless(folder, commit, high=1.06):
    add_blessing(folder, Blessing(
        backend="mine", problem=PLAIN, verdict="SLOWER", ratio=Ratio(value=1.05, low=1.04, high=high), commit=commit,
        reason="it is right now", created="2026-01-01T00:00:00",
    ))  # fmt: skip


@pytest.mark.parametrize(
    ("blessed", "base", "slower", "finding", "reason"),
    [
        (1, 0, 1050.0, "BLESSED", "it is right now"),
        (2, 0, 1050.0, "BLESSED", "it is right now"),
        (1, 1, 1050.0, "SLOWER", "it is spent, its commit is part of the base"),
        (1, 0, 1200.0, "SLOWER", "the cell changed again, to 1.200"),
        (None, 0, 1050.0, "SLOWER", None),
    ],
)
def test_what_was_accepted_passes_until_it_changes_again(
    repository, tmp_path, blessed, base, slower, finding, reason
):  # fmt: skip
    folder, hashes = repository
    run = _run(tmp_path, (hashes[base], hashes[2]), slower)
    if blessed is not None:
        _bless(folder, hashes[blessed])
    write_acceptance(analyse(run).gate_report, folder)
    report = analyse(run).gate_report
    assert [cell.finding for cell in report.cells] == [finding]
    found = report.cells[0].reason
    assert found is None if reason is None else reason in found
    assert report.exit_code == (0 if finding == "BLESSED" else 3)
    assert (tmp_path / ACCEPTED).exists() == (blessed is not None)


def test_a_damaged_record_of_it_is_named(tmp_path):
    (tmp_path / ACCEPTED).write_text("{")
    with pytest.raises(UsageError, match=r"run is torn: .*accepted\.json"):
        analyse(_run(tmp_path, ("a", "b")))


def test_damaged_blessings_are_named_and_kept(repository, tmp_path):
    folder, hashes = repository
    (folder / FILE).write_text("[{]")
    with pytest.raises(UsageError, match="blessings are damaged"):
        write_acceptance(analyse(_run(tmp_path, hashes[:2])).gate_report, folder)
    assert (folder / FILE).read_text() == "[{]"
