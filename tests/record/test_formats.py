"""Runs of older formats: what was told by names is recorded by fields."""

from dataclasses import replace

import pytest

from harness.laws.attachments import Attachments, Picture
from harness.laws.deviation import Deviation
from harness.plan.bug import AskedBug
from harness.record.baselines import latest_run
from harness.record.directory import read_run, write_header
from harness.record.formats import upgrade_entry
from harness.record.journal import ArmEntry, EndEntry, PassEntry, ResultEntry
from harness.record.run import FORMAT, Ending
from tests.analysis.test_bugs import BUG
from tests.record.older import make_older
from tests.reports.made import PLAIN, compare_arms, make_run, result, spread, time_cell

OLDER = range(1, FORMAT)
BEFORE_5 = range(1, 5)


def _store(folder, run, format, *entries):
    """Store a run as an older release did, and return it as it is read."""
    folder.mkdir(parents=True)
    journal = write_header(folder, run.header)
    for entry in (*entries, *map(ResultEntry, run.results), EndEntry(Ending(complete=True))):
        journal.append(entry)
    journal.close()
    make_older(folder, format)
    return read_run(folder)


def test_roles_and_slow_downs_of_format_2_are_told_by_names(tmp_path):
    run = _store(tmp_path / "run", make_run(
        result("mine", "agrees-with-reference", PLAIN, "passed", None),
        replace(result("mine", "tap-probe", PLAIN, "passed", None), cell=1),
    ), 2)  # fmt: skip
    assert [one.role for one in run.results] == ["reference", ""]
    assert [one.slowdown for one in run.results] == [None, None]


@pytest.mark.parametrize(("suite", "slowdown"), [("qualify", 0.0), ("qualify+3", 0.03), ("speed", None)])
def test_a_known_slow_down_was_in_the_name_of_the_suite(suite, slowdown):
    entry = {"type": "result", "result": {"suite": suite, "law": "", "backend": "mine", "route": {}}}
    assert upgrade_entry(entry, 2, {})["result"]["slowdown"] == slowdown
    assert "slowdown" not in upgrade_entry(entry, 3, {})["result"]
    assert upgrade_entry(entry, FORMAT, {}) == entry


def test_an_exhibit_of_format_3_is_read_as_attachments(tmp_path):
    attachments = Attachments(figures={"accuracy": 0.5}, pictures={"y": Picture(shape=(1, 2), pixels=b"ab")})
    found = Deviation(kind="bound", worst=0.5, compared=9, attachments=attachments)
    made = make_run(result("mine", "tap-probe", PLAIN, "passed", found))
    run = _store(tmp_path / "run", made, 3)
    journal = (tmp_path / "run" / "journal.jsonl").read_bytes()
    assert (journal.count(b'"exhibit"'), journal.count(b'"attachments"')) == (1, 0)
    assert run.results == made.results


def test_no_text_that_says_why_is_none_in_a_run_of_format_5(tmp_path):
    """They are `dropped`, `idle`, `untimed`, `hindrance` and `domain`, each without and with a text."""
    for folder, why in ("without", None), ("with", "too busy"):
        cell = time_cell(0, "base", spread(1000.0), dropped={0: why})
        made = compare_arms(cell, time_cell(1, "new", spread(1000.0)))
        law = replace(
            result("mine", "tap-probe", PLAIN, "passed", Deviation(kind="bound", worst=0.0, compared=0, idle=why)),
            cell=2,
        )
        header = replace(
            made.header, gate=replace(made.header.gate, untimed=why),
            bugs=(AskedBug(bug=replace(BUG, domain=why), backend="x", hindrance=why),),
        )  # fmt: skip
        passes = [PassEntry(one.cell, samples) for one in made.results for samples in one.measurement.passes]
        given = replace(made, header=header, results=(*(replace(one, measurement=None) for one in made.results), law))
        run = _store(tmp_path / folder, given, 5, *passes)
        text = (tmp_path / folder / "journal.jsonl").read_text() + (tmp_path / folder / "header.json").read_text()
        for name in ("dropped", "idle", "untimed", "hindrance", "domain"):
            assert f'"{name}":"{why or ""}"' in text, name
        assert run.header.gate.untimed == run.header.bugs[0].hindrance == run.results[2].idle == why
        assert run.header.bugs[0].bug.domain == why
        blocks = [block.dropped for one in run.results[:2] for each in one.measurement.passes for block in each.blocks]
        assert set(blocks) == {why, None}


@pytest.mark.parametrize("format", BEFORE_5)
def test_a_backend_was_named_by_its_arm_and_is_found_in_the_header(tmp_path, format):
    made = compare_arms(
        *(time_cell(n, arm, spread(1000.0)) for n, arm in enumerate(("mine@main", "mine"))),
        families=(("mine@main", "f"), ("mine", "f")),
    )  # fmt: skip
    said = [ArmEntry("mine@main", "mine", None, {"lib": "1"}), ArmEntry("mine", "mine", None, {"lib": "2"})]
    run = _store(tmp_path / "run", made, format, *said)
    assert b'"arm"' not in (tmp_path / "run" / "journal.jsonl").read_bytes()
    assert (run.header.arm_names, run.header.backends) == (("mine@main", "mine"), ("mine",))
    assert [(one.arm, one.backend) for one in run.results] == [("mine@main", "mine"), ("mine", "mine")]
    assert run.versions == {"mine@main": {"lib": "1"}, "mine": {"lib": "2"}}
    assert [len(one.measurement.passes) for one in run.results] == [13, 13]
    assert latest_run(arms=True, folder=tmp_path).results == run.results


def test_the_arm_of_a_known_bug_is_found_in_the_header(tmp_path):
    asked = AskedBug(bug=replace(BUG, set={"X": "1"}), backend="one")
    made = make_run(result(asked.arm, "law", PLAIN, "passed", None))
    run = _store(tmp_path / "run", replace(made, header=replace(made.header, bugs=(asked,))), 3)
    assert [(one.arm, one.backend) for one in run.results] == [("one@set:X=1", "one")]
    assert run.header.backends == ("one",)


@pytest.mark.parametrize("format", OLDER)
def test_a_backend_without_an_environment_is_its_own_arm(tmp_path, format):
    run = _store(tmp_path / "run", make_run(result("mine", "law", PLAIN, "passed", None)), format)
    assert [(one.arm, one.backend) for one in run.results] == [("mine", "mine")]
    assert run.header.base_of == {"mine": "mine"}


@pytest.mark.parametrize("format", BEFORE_5)
def test_an_empty_reason_was_none(tmp_path, format):
    made = make_run(
        result("mine", "law", PLAIN, "passed", None),
        replace(result("mine", "other", PLAIN, "error", None, reason="why"), cell=1),
    )
    run = _store(tmp_path / "run", made, format, ArmEntry("mine", "mine", None, {}), ArmEntry("no", "no", "why", {}))
    journal = (tmp_path / "run" / "journal.jsonl").read_bytes()
    assert journal.count(b'"reason":""') == 5  # of a result, two routes, an arm and the end
    assert [one.reason for one in run.results] == [None, "why"]
    assert [one.route.reason for one in run.results] == [None, None]
    assert run.ending.reason is None
    assert run.unavailable == {"no": "why"}
