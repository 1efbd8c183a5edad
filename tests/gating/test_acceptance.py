"""Known changes do not fail a build, as long as they are what was accepted."""

from dataclasses import replace

import pytest

from harness.analysis.analyse import analyse
from harness.analysis.seen import Amount
from harness.errors import UsageError
from harness.gating.acceptance import write_acceptance
from harness.gating.blessings import FILE, Blessing, Ratio, add_blessing
from harness.plan.gate import Gate
from harness.plan.limits_reading import read_limits
from harness.record.acceptance import FILE as ACCEPTED
from harness.record.acceptance import Acceptance
from tests.analysis.test_counted import LINE, compare_counts, times
from tests.gating.twenty import SETTINGS, add, make_repository
from tests.reports.made import PLAIN, compare_arms, measure, spread, time_cell


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


MIB = 2**20


def _grown(tmp_path, hashes, new=1000.0, memory=(100 * MIB, 200 * MIB), workspace=(0, 0), passes=13):
    """A run whose new version needs more memory; a limit of 10 % holds."""
    run = _run(tmp_path, hashes, new)
    results = []
    for one, peak, declared in zip(run.results, memory, workspace, strict=True):
        kept = one.measurement.passes[:passes]
        changed = tuple(replace(each, memory_bytes=peak, workspace_bytes=declared) for each in kept)
        results.append(replace(one, measurement=replace(one.measurement, passes=changed)))
    gate = replace(run.header.gate, limits=read_limits("limits", [{"memory": "10%"}]))
    return replace(run, results=tuple(results), header=replace(run.header, gate=gate))


def _judge(run, folder):
    write_acceptance(analyse(run, Acceptance()).gate_report, folder)
    return analyse(run).gate_report


def _accept(folder, commit, verdict, *amounts, law=""):
    found = tuple(Amount(what=what, base=base, new=new) for what, base, new in amounts)
    add_blessing(folder, Blessing(
        backend="mine", problem=PLAIN, verdict=verdict, amounts=found, law=law, commit=commit, reason="it is worth it",
        created="2026-01-01T00:00:00",
    ))  # fmt: skip


@pytest.mark.parametrize(
    ("memory", "workspace", "finding", "said"),
    [
        ((100 * MIB, 200 * MIB), (0, 0), "BLESSED", "it is worth it"),
        ((150 * MIB, 250 * MIB), (0, 0), "BLESSED", "it is worth it"),  # another machine, the same growth
        ((100 * MIB, 203 * MIB), (0, 0), "MORE MEMORY", "the cell changed again, to peak memory 203 MiB"),
        ((100 * MIB, 200 * MIB), (0, 64), "MORE MEMORY", "it accepts no workspace, and the cell has workspace 64 B"),
        ((0, 0), (0, 64), "MORE MEMORY", "it accepts no workspace"),
    ],
)
def test_the_growth_that_was_accepted_is_no_licence_for_more(repository, tmp_path, memory, workspace, finding, said):
    folder, hashes = repository
    _accept(folder, hashes[1], "MORE MEMORY", ("peak memory", 100 * MIB, 200 * MIB))
    report = _judge(_grown(tmp_path, hashes[::2], memory=memory, workspace=workspace), folder)
    assert [cell.finding for cell in report.cells] == [finding] and said in report.cells[0].reason
    assert report.exit_code == (0 if finding == "BLESSED" else 3)
    spent = _judge(_grown(tmp_path, hashes[1:], memory=memory), folder)
    assert [cell.finding for cell in spent.cells] == (["MORE MEMORY"] if memory[1] > memory[0] else ["INCONCLUSIVE"])


def test_what_is_accepted_of_a_cell_hides_nothing_else_of_it(repository, tmp_path):
    folder, hashes = repository
    _accept(folder, hashes[1], "MORE MEMORY", ("peak memory", 100 * MIB, 200 * MIB))
    slower = _judge(_grown(tmp_path, hashes[::2], new=1050.0), folder)
    assert [cell.finding for cell in slower.cells] == ["SLOWER"] and slower.exit_code == 3
    assert "MORE MEMORY accepted at" in slower.cells[0].reason
    undecided = _judge(_grown(tmp_path, hashes[::2], passes=4), folder)
    assert [cell.finding for cell in undecided.cells] == ["INCONCLUSIVE"] and undecided.exit_code == 5
    _bless(folder, hashes[1])
    both = _judge(_grown(tmp_path, hashes[::2], new=1050.0), folder)
    assert [cell.finding for cell in both.cells] == ["BLESSED"] and both.exit_code == 0
    assert both.cells[0].reason.count("accepted at") == 2
    _accept(folder, hashes[1], "MORE MEMORY", ("workspace", 0, 64))
    unknown = _judge(_grown(tmp_path, hashes[::2], memory=(0, 0), workspace=(0, 64)), folder)
    assert [cell.finding for cell in unknown.cells] == ["INCONCLUSIVE"] and unknown.exit_code == 5
    assert "no peak of memory could be read" in unknown.cells[0].reason


@pytest.mark.parametrize(
    ("law", "now", "finding"),
    [
        ("agrees-with-reference", 12.0, "BLESSED"),
        ("agrees-with-reference", 11.0, "LESS PRECISE"),
        ("other", 12.0, "LESS PRECISE"),
    ],
)
def test_bits_that_were_given_up_in_a_law_are_accepted_there(repository, tmp_path, law, now, finding):
    folder, hashes = repository
    _accept(folder, hashes[1], "LESS PRECISE", ("effective bits", 20.0, 12.0), law=law)
    run = _run(tmp_path, hashes[::2])
    cells = [replace(measure(arm, bits), arm=arm, backend="mine") for arm, bits in (("base", 20.0), ("new", now))]
    gate = replace(run.header.gate, limits=read_limits("limits", [{"bits": 1}]))
    made = replace(run, results=tuple(replace(one, cell=n) for n, one in enumerate(cells)),
                   header=replace(run.header, gate=gate))  # fmt: skip
    assert [cell.finding for cell in _judge(made, folder).cells] == [finding]


@pytest.mark.parametrize(("factor", "finding"), [(1.02, "BLESSED"), (1.03, "MORE"), (1.0, "SAME")])
def test_more_instructions_are_accepted_up_to_what_was_seen(repository, tmp_path, factor, finding):
    folder, hashes = repository
    add_blessing(folder, Blessing(
        backend="mine", problem=LINE, verdict="MORE", ratio=Ratio(value=1.02, low=1.0196, high=1.0204),
        commit=hashes[1], reason="checks sizes", created="2026-01-01T00:00:00",
    ))  # fmt: skip
    made = compare_counts(times(factor), gate=Gate(armed=True, whole=True))
    arms = tuple(replace(arm, revision=one) for arm, one in zip(made.header.arms, hashes[::2], strict=True))
    report = _judge(replace(made, path=tmp_path, header=replace(made.header, arms=arms)), folder)
    assert [cell.finding for cell in report.cells] == [finding]
    assert report.exit_code == (3 if finding == "MORE" else 0)


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
