"""The journal: whole lines or none, and a damaged line costs itself alone."""

import math
import os
import random
import resource
import threading
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace

import pytest

from harness.backend.routing import Route
from harness.errors import UnwritableError
from harness.exit_codes import ExitCode
from harness.laws.deviation import Deviation
from harness.record.journal import (
    Contents,
    EndEntry,
    Journal,
    PassEntry,
    ResultEntry,
    read_journal,
    read_number,
    renumber_line,
    seal_line,
)
from harness.record.passes import Pass
from harness.record.run import Ending, Result


def result(worst, got, cell=4):
    deviation = Deviation(kind="exact", worst=worst, compared=3, what="y", index=(1, 2), got=got, wanted=1.0, bound=0.0)
    return Result(
        cell=cell, suite="s", kind="correctness", arm="b", backend="b", label="l", problem="conv x=1x1x5 w=1x1x3",
        law="x", outcome="failed", route=Route(kind="derived", via="conv"), deviation=deviation,
    )  # fmt: skip


@contextmanager
def full_after(size):
    """Let no file of this process grow beyond a size: the system takes a part of the bytes, then none."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def journal(tmp_path):
    made = Journal(tmp_path / "journal.jsonl")
    yield made
    made.file.close()


@pytest.fixture
def stored(journal):
    """The bytes of a journal with five results and an end, as lines."""
    for cell in range(5):
        journal.append(ResultEntry(result(0.5, 1.5, cell)))
    journal.append(EndEntry(Ending(complete=True)))
    return journal.path.read_bytes().splitlines(keepends=True)


def cells(contents):
    return [entry.result.cell for entry in contents.entries if isinstance(entry, ResultEntry)]


@pytest.mark.parametrize(("worst", "got"), [(0.5, 1.5), (math.inf, -math.inf), (math.inf, 2.0)])
def test_entries_read_back_as_they_were_written(journal, worst, got):
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
    for entry in entries:
        journal.append(entry)
        assert read_journal(journal.path.read_bytes()).entries[-1] == entry  # on disk before the next begins
    journal.close()
    assert read_journal(journal.path.read_bytes()) == Contents(entries=entries)


def test_not_a_number_survives(journal):
    journal.append(ResultEntry(result(math.inf, math.nan)))
    found = read_journal(journal.path.read_bytes())
    assert math.isnan(found.entries[0].result.deviation.got)
    assert not found.torn and not found.damage


@pytest.mark.parametrize("name", ["worst", "got", "wanted", "bound", "effective_bits", "ulps", "seconds", "slowdown"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_no_number_of_a_result_is_lost_where_json_has_none(journal, name, value):
    """Results are encoded at once where all numbers are finite; each number counts."""
    whole = result(0.5, 1.5)
    changed = {name: value}
    if name in ("seconds", "slowdown"):
        whole = replace(whole, **changed)
    else:
        whole = replace(whole, deviation=replace(whole.deviation, **changed))
    journal.append(ResultEntry(whole))
    found = read_journal(journal.path.read_bytes()).entries[0].result
    assert repr(getattr(found if hasattr(found, name) else found.deviation, name)) == repr(value)


def test_a_line_ends_with_its_number_and_the_checksum_of_what_is_before():
    assert seal_line(b'{"type":"end"}', 17) == b'{"type":"end","line":17,"crc32":"5a64141d"}'
    assert read_number(seal_line(b'{"a":1}', 17)) == 17
    assert renumber_line(seal_line(b'{"a":1}', 17), 4) == seal_line(b'{"a":1}', 4)
    with pytest.raises(ValueError, match="wrong checksum"):
        renumber_line(b'{"a":1}', 4)


def test_a_journal_is_never_a_file_that_exists(journal):
    with pytest.raises(FileExistsError):
        Journal(journal.path)


# --- damage --------------------------------------------------------------------------------------------------------


def test_every_flipped_bit_costs_its_own_line_alone(stored):
    before, line, after = stored[0], stored[1], b"".join(stored[2:])
    for place in range(len(line) - 1):
        flipped = bytearray(line)
        flipped[place] ^= 1 << place % 8
        found = read_journal(before + bytes(flipped) + after)
        assert cells(found) == [0, 2, 3, 4], place
        assert found.damage and "line 2 is damaged" in found.damage[0]


def test_a_damaged_line_says_whose_result_it_probably_was(stored):
    damaged = stored[2].replace(b'"outcome":"failed"', b'"outcome":"passed"')
    assert damaged != stored[2]
    found = read_journal(b"".join([*stored[:2], damaged, *stored[3:]]))
    assert found.damage == ("line 3 is damaged (probably the result of cell 2: b x conv x=1x1x5 w=1x1x3)",)
    assert cells(found) == [0, 1, 3, 4]


def test_what_a_damaged_line_says_is_printable(stored):
    damaged = stored[2].replace(b'"arm":"b"', b'"arm":"\x1b[2J"')
    (said,) = read_journal(b"".join([*stored[:2], damaged, *stored[3:]])).damage
    assert said.isprintable()


@pytest.mark.parametrize(
    ("spoil", "left", "damage"),
    [
        (lambda at: [*at[:2], at[2][:40] + at[3], *at[4:]], [0, 1, 4], ["line 3 is damaged", "1 line is missing"]),
        (lambda at: [*at[:2], at[2][:-1] + at[3], *at[4:]], [0, 1, 4], ["line 3 is damaged", "1 line is missing"]),
        (lambda at: [*at[:2], at[2][:40] + b"\n", *at[3:]], [0, 1, 3, 4], ["line 3 is damaged"]),
        (lambda at: at[:1] + at[3:], [0, 3, 4], ["2 lines are missing before line 2"]),
        (lambda at: at[:2] + at[1:], [0, 1, 2, 3, 4], ["line 3 repeats line 2"]),
        (lambda at: at[1:] + at[:1], [1, 2, 3, 4], ["1 line is missing before line 1", "line 6 repeats line 1"]),
        (lambda at: [*at[:2], bytes(40) + b"\n", *at[2:]], [0, 1, 2, 3, 4], ["line 3 is damaged"]),
        (lambda at: [*at[:2], b"[" * 100000 + b"\n", *at[3:]], [0, 1, 3, 4], ["line 3 is damaged"]),
        (lambda at: [*at[:2], b'{"type":"peak"}\n', *at[3:]], [0, 1, 3, 4], ["line 3 is damaged"]),
        (lambda at: [*at[:2], seal_line(b'{"type":"new"}', 3) + b"\n", *at[3:]], [0, 1, 3, 4], ["line 3 is damaged"]),
    ],
    ids=["glued", "glued-whole", "cut", "deleted", "twice", "moved", "zeros", "deep", "unsealed", "unknown"],
)  # fmt: skip
def test_damage_costs_the_lines_that_it_hits(stored, spoil, left, damage):
    found = read_journal(b"".join(spoil(stored)))
    assert cells(found) == left
    assert len(found.damage) == len(damage)
    assert all(part in said for part, said in zip(damage, found.damage, strict=True))


def test_two_entries_on_a_line_are_damage_even_if_each_can_be_read(stored):
    found = read_journal(b"".join([stored[0][:-1], b" ", *stored[1:]]))
    assert cells(found) == [2, 3, 4]
    assert found.damage[0].startswith("line 1 is damaged")


def test_empty_lines_are_passed_over(stored):
    found = read_journal(b"\n" + b"".join(stored) + b"\n")
    assert (cells(found), found.damage, found.torn) == ([0, 1, 2, 3, 4], (), False)


def test_two_glued_results_are_both_named(stored):
    (said, _) = read_journal(b"".join([*stored[:2], stored[2][:-1] + stored[3], *stored[4:]])).damage
    assert "the result of cell 2: " in said and "the result of cell 3: " in said


@pytest.mark.parametrize("cut", [1, 2, 30])
def test_a_torn_last_line_is_left_out(stored, cut):
    found = read_journal(b"".join(stored)[:-cut])
    assert cells(found) == [0, 1, 2, 3, 4]
    assert (found.torn, len(found.entries)) == ((False, 6) if cut == 1 else (True, 5))


def test_random_damage_raises_nothing_and_is_told(stored):
    random.seed(0)
    whole = b"".join(stored)
    for _ in range(300):
        data = bytearray(whole)
        for _ in range(random.randrange(1, 4)):
            place = random.randrange(len(data) - 1)
            match random.randrange(3):
                case 0:
                    data[place] ^= random.randrange(1, 256)
                case 1:
                    del data[place : place + random.randrange(1, 300)]
                case _:
                    data[place:place] = random.randbytes(random.randrange(1, 50))
        found = read_journal(bytes(data))
        assert bytes(data) == whole or found.damage or found.torn or not isinstance(found.entries[-1], EndEntry)
        assert set(cells(found)) <= set(range(5))


@pytest.mark.parametrize("line", [b"{", b"[]", b'{"type":"result"}', b'{"type":"end","ending":3}', b"[" * 100_000])
def test_a_damaged_line_of_an_older_format_costs_itself_alone(line):
    end = b'{"type":"end","ending":{"complete":true}}\n'
    found = read_journal(end + line + b"\n" + end, format=1)
    assert [entry.ending.complete for entry in found.entries] == [True, True]
    assert len(found.damage) == 1 and found.damage[0].startswith("line 2 is damaged")


# --- a full disk ---------------------------------------------------------------------------------------------------


def test_a_full_disk_leaves_whole_lines_and_says_where_it_is(journal):
    journal.append(ResultEntry(result(0.5, 1.5, 0)))
    before = journal.path.read_bytes()
    with full_after(len(before) + 100), pytest.raises(UnwritableError) as caught:
        journal.append(ResultEntry(result(0.5, 1.5, 1)))
    assert journal.path.read_bytes() == before
    assert caught.value.exit_code == ExitCode.SYSTEM
    said = str(caught.value)
    assert f"journal cannot be written: '{journal.path}' (File too large)" in said
    assert f"harness report {journal.path.parent}" in said
    assert "\n" not in said


def test_a_shorter_entry_may_fit_after_one_that_did_not(journal):
    journal.append(ResultEntry(result(0.5, 1.5, 0)))
    ending = EndEntry(Ending(complete=False, reason="disk full"))
    with full_after(journal.size + 200):
        with pytest.raises(UnwritableError):
            journal.append(ResultEntry(result(0.5, 1.5, 1)))
        journal.append(ending)
    journal.close()
    found = read_journal(journal.path.read_bytes())
    assert found == Contents(entries=[ResultEntry(result(0.5, 1.5, 0)), ending])


def test_an_interrupted_line_is_taken_back(journal, monkeypatch):
    journal.append(ResultEntry(result(0.5, 1.5, 0)))
    before, write = journal.path.read_bytes(), os.pwrite

    def interrupt(number, data, position):
        write(number, data[:50], position)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(os, "pwrite", interrupt)
        journal.append(ResultEntry(result(0.5, 1.5, 1)))
    assert journal.path.read_bytes() == before
    journal.append(EndEntry(Ending(complete=False)))
    assert len(read_journal(journal.path.read_bytes()).entries) == 2


def test_a_disk_that_takes_few_bytes_at_a_time_gets_whole_lines(journal, monkeypatch):
    write = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda number, data, position: write(number, data[:7], position))
    journal.append(ResultEntry(result(0.5, 1.5)))
    assert read_journal(journal.path.read_bytes()).entries == [ResultEntry(result(0.5, 1.5))]


def test_a_failed_sync_is_said_and_the_file_closed(journal, monkeypatch):
    def fail(number):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(UnwritableError, match="Input/output error"):
        journal.close()
    assert journal.file.closed


@pytest.mark.parametrize(("blocks", "free", "short"), [(100, 10, True), (100, 10_000, False), (0, 0, False)])
def test_a_disk_without_room_is_known(journal, monkeypatch, blocks, free, short):
    disk = SimpleNamespace(f_bavail=free, f_frsize=4096, f_blocks=blocks)
    monkeypatch.setattr(os, "fstatvfs", lambda number: disk)
    if not short:
        journal.check_space()
        return
    with pytest.raises(UnwritableError, match="40 KiB are left on the disk"):
        journal.check_space()


def test_threads_write_their_lines_one_after_the_other(journal):
    def write(first):
        for cell in range(first, first + 50):
            journal.append(ResultEntry(result(0.5, 1.5, cell)))

    threads = [threading.Thread(target=write, args=(first,)) for first in range(0, 400, 50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = read_journal(journal.path.read_bytes())
    assert sorted(cells(found)) == list(range(400))
    assert not found.damage
