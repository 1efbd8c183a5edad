import json

import pytest
from click.testing import CliRunner

from harness.cli.doctor import command, print_findings
from harness.machine.diagnosis import Finding


def ask_doctor(*arguments, **variables):
    return CliRunner(env=variables).invoke(command, arguments)


def test_the_table_has_a_row_for_each_check_and_a_closing_line():
    done = ask_doctor("--seconds", "0.1", OMP_WAIT_POLICY="PASSIVE")
    assert done.exit_code == 0, done.output
    head, *rows, closing = done.stdout.strip().splitlines()
    assert head.split() == ["state", "what", "found", "what", "to", "do"]
    waiting = next(row for row in rows if "waiting threads" in row)
    assert waiting.startswith("poor")
    assert "OMP_WAIT_POLICY=PASSIVE" in waiting
    assert "unset OMP_WAIT_POLICY" in waiting
    assert "waiting threads" in closing
    assert "probing for 0.1 s" in done.stderr


def test_json_holds_the_same_and_nothing_else_is_printed():
    done = ask_doctor("--json", "--seconds", "0.1", MY_TOKEN="do-not-print")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert set(found) == {"findings", "conclusion"}
    assert all(set(one) == {"name", "state", "found", "advice"} for one in found["findings"])
    assert {one["state"] for one in found["findings"]} <= {"good", "poor", "unknown"}
    assert "do-not-print" not in done.output


@pytest.mark.parametrize("arguments", [["--seconds", "0"], ["--seconds", "soon"], ["--jason"], ["cpu"]])
def test_wrong_use_is_exit_code_2(arguments):
    assert ask_doctor(*arguments).exit_code == 2


def test_what_was_found_is_no_markup(capsys):
    print_findings([Finding(name="gpu", state="poor", found="[red]x[/red]", advice="[/] do [this]")])
    shown = capsys.readouterr().out
    assert "[red]x[/red]" in shown
    assert "[/] do [this]" in shown
