"""Runs of older formats: what was told by names is recorded by fields."""

import msgspec
import pytest

from harness.laws.attachments import Attachments, Picture
from harness.laws.deviation import Deviation
from harness.record.directory import read_run
from harness.record.formats import upgrade_entry
from harness.record.run import FORMAT
from tests.record.stored import store_run
from tests.reports.made import make_run, result


def _write_before_3(folder, *results):
    """A run directory as format 2 wrote it: without roles and known slow-downs."""
    folder.mkdir()
    run = make_run(*results)
    header = msgspec.to_builtins(run.header) | {"format": 2, "cells": len(results)}
    (folder / "header.json").write_bytes(msgspec.json.encode(header))
    lines = []
    for number, one in enumerate(results):
        fields = msgspec.to_builtins(one) | {"cell": number}
        for name in ("role", "slowdown"):
            del fields[name]
        lines.append(msgspec.json.encode({"type": "result", "result": fields}))
    (folder / "journal.jsonl").write_bytes(b"\n".join([*lines, b""]))
    return read_run(folder)


def test_roles_and_slow_downs_of_format_2_are_told_by_names(tmp_path):
    run = _write_before_3(
        tmp_path / "run",
        result("mine", "agrees-with-reference", "conv x=1x1x5 w=1x1x1", "passed", None),
        result("mine", "tap-probe", "conv x=1x1x5 w=1x1x1", "passed", None),
    )  # fmt: skip
    assert [one.role for one in run.results] == ["reference", ""]
    assert [one.slowdown for one in run.results] == [None, None]


@pytest.mark.parametrize(("suite", "slowdown"), [("qualify", 0.0), ("qualify+3", 0.03), ("speed", None)])
def test_a_known_slow_down_was_in_the_name_of_the_suite(suite, slowdown):
    entry = {"type": "result", "result": {"suite": suite, "law": ""}}
    assert upgrade_entry(entry, 2)["result"]["slowdown"] == slowdown
    assert upgrade_entry(entry, 3) == entry


def test_an_exhibit_of_format_3_is_read_as_attachments(tmp_path):
    attachments = Attachments(figures={"accuracy": 0.5}, pictures={"y": Picture(shape=(1, 2), pixels=b"ab")})
    found = Deviation(kind="bound", worst=0.5, compared=9, attachments=attachments)
    run = make_run(result("mine", "tap-probe", "conv x=1x1x5 w=1x1x1", "passed", found))
    stored = store_run(run, tmp_path / "run")
    assert read_run(stored).results == run.results
    header, journal = stored / "header.json", stored / "journal.jsonl"
    header.write_bytes(header.read_bytes().replace(b'"format":%d' % FORMAT, b'"format":3'))
    assert journal.read_bytes().count(b'"attachments"') == 1
    journal.write_bytes(journal.read_bytes().replace(b'"attachments"', b'"exhibit"'))
    assert read_run(stored).results == run.results
