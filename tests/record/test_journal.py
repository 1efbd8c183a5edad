import math

import pytest

from harness.backend.routing import Route
from harness.laws.deviation import Deviation
from harness.record.journal import EndEntry, Journal, PassEntry, ResultEntry, read_journal
from harness.record.run import Ending, Pass, Result


def result(worst, got):
    deviation = Deviation(kind="exact", worst=worst, compared=3, what="y", index=(1, 2), got=got, wanted=1.0, bound=0.0)
    return Result(
        cell=4, suite="s", kind="correctness", arm="b", backend="b", label="l", problem="conv x=1x1x5 w=1x1x3", law="x",
        outcome="failed", route=Route(kind="derived", via="conv"), deviation=deviation,
    )  # fmt: skip


@pytest.mark.parametrize(("worst", "got"), [(0.5, 1.5), (math.inf, -math.inf), (math.inf, 2.0)])
def test_entries_read_back_as_they_were_written(tmp_path, worst, got):
    one = Pass(
        number=0,
        process=9,
        loops=2,
        warmups=3,
        clock="host",
        device="cpu",
        prepare_ns=4,
        first_call_ns=5,
        samples_ns=(1.5,),
    )
    entries = [ResultEntry(result(worst, got)), PassEntry(4, one), EndEntry(Ending(complete=True))]
    journal = Journal(tmp_path / "journal.jsonl")
    for entry in entries:
        journal.append(entry)
        assert read_journal(journal.path)[0][-1] == entry  # on disk before the next begins
    journal.close()
    assert read_journal(journal.path) == (entries, False)


def test_not_a_number_survives(tmp_path):
    journal = Journal(tmp_path / "journal.jsonl")
    journal.append(ResultEntry(result(math.inf, math.nan)))
    journal.close()
    (entry,), torn = read_journal(journal.path)
    assert math.isnan(entry.result.deviation.got)
    assert not torn


def test_two_entries_on_a_line_are_damage_even_if_each_can_be_read(tmp_path):
    journal = Journal(tmp_path / "journal.jsonl")
    journal.append(ResultEntry(result(0.5, 1.5)))
    journal.append(EndEntry(Ending(complete=True)))
    journal.close()
    journal.path.write_bytes(journal.path.read_bytes().replace(b"\n", b" ", 1))
    with pytest.raises(ValueError, match="line 1"):
        read_journal(journal.path)


@pytest.mark.parametrize("line", [1, 2])
def test_a_damaged_line_is_told_by_its_number(tmp_path, line):
    journal = Journal(tmp_path / "journal.jsonl")
    for _ in range(2):
        journal.append(EndEntry(Ending(complete=True)))
    journal.close()
    lines = journal.path.read_bytes().split(b"\n")
    lines[line - 1] = lines[line - 1][:-1]
    journal.path.write_bytes(b"\n".join(lines))
    with pytest.raises(ValueError, match=f"line {line}"):
        read_journal(journal.path)


def test_empty_lines_are_passed_over(tmp_path):
    journal = Journal(tmp_path / "journal.jsonl")
    journal.append(EndEntry(Ending(complete=True)))
    journal.close()
    journal.path.write_bytes(b"\n" + journal.path.read_bytes() + b"\n")
    assert read_journal(journal.path) == ([EndEntry(Ending(complete=True))], False)
