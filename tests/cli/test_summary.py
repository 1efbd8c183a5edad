"""Summary of networks that is printed at the end of a run."""

from dataclasses import replace

from harness.analysis.analyse import analyse
from harness.cli.summary import print_summary
from tests.reports.made import PLAIN, check_network, make_run, result, time_cell, time_network

FORWARD, STEP = "network made forward", "network made step"


def _rows(capsys, *results):
    print_summary(analyse(make_run(*results)))
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    start = next((n for n, words in enumerate(lines) if words[:3] == ["forward", "/", "step"]), None)
    return None if start is None else [" ".join(words) for words in (lines[start], *lines[start + 2 :]) if words]


def test_networks_have_a_row_each_and_backends_a_column(capsys):
    wrong = replace(time_network(3, "b", STEP, [9e6] * 3), outcome="failed", reason="first: y is wrong")
    head, first, *_ = _rows(
        capsys, time_network(0, "a", FORWARD, [1.5e6] * 3), time_network(1, "a", STEP, [4e6] * 3),
        time_network(2, "b", FORWARD, [2e6] * 3), wrong, check_network("a", 0.25),
    )  # fmt: skip
    assert head == "forward / step ms (error) a b"
    assert first == "made 1.5 / 4 (0.25) 2 / - wrong"


def test_checks_alone_show_errors(capsys):
    rows = _rows(capsys, check_network("a", 0.25), check_network("b", 7.0))
    assert rows[1] == "made (0.25) (7) wrong"


def test_what_did_not_run_is_no_column(capsys):
    idle = result("b", "network-equals-autograd", STEP, "unsupported", None, reason="no pools")
    assert _rows(capsys, check_network("a", 0.25), idle)[:2] == ["forward / step ms (error) a", "made (0.25)"]
    assert _rows(capsys, idle) is None


def test_networks_are_not_told_again_among_the_operators(capsys):
    print_summary(analyse(make_run(time_network(0, "a", FORWARD, [1.5e6] * 3), time_cell(1, "a", [2e6] * 3, PLAIN))))
    out = capsys.readouterr().out
    assert PLAIN in out
    assert FORWARD not in out
