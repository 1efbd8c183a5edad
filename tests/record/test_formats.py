"""Runs of older formats: what was told by names is recorded by fields."""

import msgspec
import pytest

from harness.record.directory import read_run
from harness.record.formats import upgrade_entry
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
