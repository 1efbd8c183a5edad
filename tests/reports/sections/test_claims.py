"""Claims in the documents of a run: the page, Markdown, the summary, JUnit, annotations and the headline."""

import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import pytest

from harness.analysis.analyse import analyse
from harness.record.acceptance import Acceptance
from reports import github_annotations, junit, markdown, page, summary
from reports.headline import judge_analysis
from tests.analysis.claims.made import FAULT, HALF, LINE, cell, judged
from tests.reports.made import make_run

KNOWN = judged(cell(), cell("failed", HALF), faults=[FAULT])
BROKEN = judged(cell(), cell("unsupported"), cell("failed", HALF), faults=[FAULT])
STRICT = judged(cell(), cell(line=HALF), faults=[replace(FAULT, strict=True)])
OPEN = judged(cell(line="max_pool x=1x2x9 kernel=3"))
EXPIRED = judged(cell(), cell("failed", HALF), faults=[FAULT], created="2028-01-01")


def written(write, run, folder):
    (path,) = write(analyse(run, Acceptance()), folder)
    return path.read_text()


@pytest.mark.parametrize("write", [page.write, markdown.write, summary.write])
def test_every_document_says_what_is_broken_and_what_has_expired(write, tmp_path):
    text = written(write, BROKEN, tmp_path).replace("\\", "")
    assert "CLAIM BROKEN" in text and "promise 1" in text
    assert "EXPIRED" in written(write, EXPIRED, tmp_path)
    assert "laim" not in written(write, make_run(cell()), tmp_path).replace("claims that", "")


@pytest.mark.parametrize("write", [page.write, markdown.write])
def test_known_faults_have_a_row_and_are_no_failures(write, tmp_path):
    text = written(write, KNOWN, tmp_path)
    assert "KNOWN FAULT" in text and "https://example.org/1" in text
    assert 'id="failures"' not in text and "## Failures" not in text


def test_texts_of_a_file_are_harmless_in_all_documents(tmp_path):
    evil = replace(FAULT, reason="<b>bold</b> | [a](javascript:b) \x1b[31m")
    run = judged(cell(), cell("failed", HALF), faults=[evil])
    for write in (page.write, markdown.write, summary.write, junit.write, github_annotations.write):
        text = written(write, run, tmp_path)
        assert "<b>" not in text.replace("\\<b>", "") and "\x1b" not in text


def found(run, folder):
    tree = ElementTree.fromstring(written(junit.write, run, folder).split("?>", 1)[1])
    return sorted((one.tag, one.get("type")) for case in tree.iter("testcase") for one in case)


def test_junit_fails_for_broken_claims_and_skips_known_faults(tmp_path):
    assert found(KNOWN, tmp_path) == [("skipped", "known fault")]
    assert found(BROKEN, tmp_path) == [("failure", "CLAIM BROKEN"), ("skipped", "known fault")]
    assert found(STRICT, tmp_path) == [("failure", "FAULT GONE")]
    assert found(judged(cell(), cell(line=HALF), faults=[FAULT]), tmp_path) == [("skipped", "FAULT GONE")]
    assert ("error", "claims") in found(OPEN, tmp_path)
    assert found(EXPIRED, tmp_path) == [("failure", "CLAIM BROKEN"), ("skipped", "EXPIRED")]


def test_annotations_name_the_row(tmp_path):
    assert "::error title=CLAIM BROKEN mine tap-probe::promise 1" in written(github_annotations.write, BROKEN, tmp_path)
    assert "::error title=FAULT GONE::fault 1 of mine" in written(github_annotations.write, STRICT, tmp_path)
    assert written(github_annotations.write, KNOWN, tmp_path) == ""


@pytest.mark.parametrize(
    ("run", "state", "text"),
    [
        (KNOWN, "good", "1 cell passed, 1 is wrong as known"),
        (BROKEN, "bad", "CLAIM BROKEN"),
        (STRICT, "bad", "its row is strict"),
        (OPEN, "open", "promises are not checked"),
        (judged(cell(), cell("failed", LINE, law="a"), cell("failed", HALF), faults=[FAULT]), "bad", "1 cell is wrong"),
    ],
)
def test_the_headline_agrees_with_the_exit_code(run, state, text):
    verdict = judge_analysis(analyse(run, Acceptance()))
    assert verdict.state == state
    assert text in verdict.text
