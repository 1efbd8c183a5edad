"""No text of a backend acts where it is shown, and none is too long to be shown; the data have it whole."""

import csv
import html
import json
import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

from harness.analysis.analyse import analyse
from harness.analysis.inert_text import make_inert, show_text
from harness.cli.summary import print_summary
from harness.cli.terminal import open_console, plain_table
from harness.plugins.manager import load_plugins
from tests.hostile.texts import FORBIDDEN, LONG, NASTY
from tests.reports.made import fail, make_run, result

SHOWN = ["markdown", "html", "junit", "annotations", "summary"]


@pytest.fixture(scope="module")
def analysis():
    failed = [
        replace(fail(f"arm{number}", line=f"conv x={number + 1}x2x9 w=3x2x3"), reason=text, label=text, cell=number)
        for number, text in enumerate((NASTY, LONG))
    ]
    odd = [
        replace(result(name, law, line, outcome, None, reason=name), cell=2 + number, label=name)
        for number, (name, law, line, outcome) in enumerate(
            [
                (NASTY, NASTY, NASTY, "error"),
                (LONG, "law", LONG, "crashed"),
                (NASTY, "other", "conv x=1x2x9 w=3x2x3", "unavailable"),
                ("-1", "+law", "@line", "skipped"),
            ]
        )
    ]
    run = make_run(*failed, *odd)
    return analyse(replace(run, unavailable={NASTY: NASTY}, versions={"arm0": {NASTY: NASTY}}))


@pytest.mark.parametrize("name", SHOWN)
def test_no_report_has_a_character_that_acts(analysis, name, tmp_path):
    for path in load_plugins().reporter(name).write(analysis, tmp_path):
        text = path.read_bytes().decode()
        own = re.sub(r"<script[^>]*>(?!\s*[\[{]).*?</script>", "", text, flags=re.DOTALL)  # plotly, not data
        data = re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', text, re.DOTALL)
        assert (name == "html") == bool(data)
        decoded = json.dumps([json.loads(one) for one in data], ensure_ascii=False)
        for shown in (own, html.unescape(own), decoded):
            assert not FORBIDDEN.search(shown), path.name
            assert "\\n::error::no" not in shown and "\n::error::no" not in shown, path.name
        assert name == "junit" or not re.search("n{9000}", own), path.name  # where names are keys
        assert not re.search(r"^(::error::no|# <script>)", own, re.MULTILINE), path.name
        assert "<script>alert" not in own, path.name
        if path.suffix == ".xml":
            ET.fromstring(text)


def test_no_line_of_the_terminal_has_one(analysis, capsys):
    print_summary(analysis)
    said = capsys.readouterr().out
    assert "=cmd" in said
    assert not FORBIDDEN.search(said)
    assert not re.search("n{9000}", said)


def test_a_table_cuts_long_cells_and_reads_markup_before(capsys):
    table = plain_table("one", "two")
    table.add_row(f"[red]{LONG}[/red]", "\\[x]" * 200)
    open_console().print(table)
    said = capsys.readouterr().out
    assert said.count("n") < 500 and "…" in said


def test_a_spreadsheet_runs_no_cell(analysis, tmp_path):
    seen = 0
    for path in load_plugins().reporter("csv").write(analysis, tmp_path):
        with path.open(newline="", encoding="utf-8", errors="surrogatepass") as file:
            for row in csv.reader(file):
                for cell in row:
                    number = re.fullmatch(r"[-+]?(\d+(\.\d*)?(e[-+]?\d+)?|inf)", cell)
                    assert number or not cell.startswith(("=", "+", "-", "@", "\t", "\r")), cell[:40]
                    seen += cell.startswith("'=")
    assert seen
    with (tmp_path / "results.csv").open(newline="", encoding="utf-8", errors="surrogatepass") as file:
        rows = list(csv.DictReader(file))
    assert {row["law"] for row in rows} >= {"'+law"}
    assert any(row["reason"] == LONG for row in rows)  # whole


def test_json_has_it_whole(analysis, tmp_path):
    for name in ("bencher", "github-action-benchmark"):
        for path in load_plugins().reporter(name).write(analysis, tmp_path):
            assert not FORBIDDEN.search(path.read_text())
            json.loads(path.read_text())


@pytest.mark.parametrize(
    ("text", "inert"),
    [
        ("plain ⋆ 卷积 ÿ", "plain ⋆ 卷积 ÿ"),
        ("a\x1b[31mb", "a\\x1b[31mb"),
        ("a\r\n\tb", "a b"),
        ("\u202eabc\U000e0041", "\\u202eabc\\U000e0041"),
        ("\udcff", "\\udcff"),
        ("", ""),
    ],
)
def test_a_text_is_made_inert(text, inert):
    assert make_inert(text) == inert
    assert make_inert(inert) == inert


@pytest.mark.parametrize("most", [40, 41, 1000])
def test_a_long_text_is_shortened_in_its_middle(most):
    text = f"begin{'n' * 5000}end"
    shown = show_text(text, most)
    assert len(shown) <= most and "(5008 characters)" in shown
    assert shown.startswith("begin") and (most < 50 or shown.endswith("end"))
    assert show_text("short", most) == "short"
