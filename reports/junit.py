"""A run as JUnit XML, the test format of Jenkins, GitLab and most actions of GitHub, written cell by cell.

Root, suites and cases as in https://github.com/jenkinsci/xunit-plugin, junit-10.xsd; if arms were compared, cases have
properties too, as pytest writes them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.analysis import make_inert
from reports.ci_findings import OF_BASE, Finding, judge_cells, judge_whole

if TYPE_CHECKING:
    from xml.sax.saxutils import XMLGenerator

    from harness import Analysis, Result
    from harness.analysis import Row

ELEMENTS = {"failure": "failure", "error": "error", "open": "skipped", "idle": "skipped"}
WHOLE = "run"  # name of the suite with the findings on the run as a whole
FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0, section 2.2
Judged = tuple["Result", "Row | None", Finding | None]


def write(analysis: Analysis, folder: Path) -> tuple[Path, ...]:
    """Write junit.xml: a suite for each suite and backend, a case for each cell, and a suite for findings on the run.

    Of two versions each cell is one case, that of the new one. Results that prove nothing, and verdicts of a machine
    that was not quiet enough, are skipped instead of passed.
    """
    from xml.sax.saxutils import XMLGenerator  # imports the package of HTTP, which few runs need

    suites: dict[tuple[str, str], list[Judged]] = {}
    for result, row, found in judge_cells(analysis):
        if found is not None and found.kind == OF_BASE:  # of two versions, each cell counts once
            continue
        suites.setdefault((result.suite, result.arm), []).append((result, row, found))
    whole = list(judge_whole(analysis))
    path = folder / "junit.xml"
    with path.open("wb") as file:
        out = XMLGenerator(file, encoding="utf-8", short_empty_elements=True)
        out.startDocument()
        findings = [found for cells in suites.values() for _, _, found in cells] + [*whole]
        root = _count(findings, sum(result.seconds for result in analysis.run.results))
        root.pop("skipped")  # the root has no such attribute
        _open(out, "testsuites", {"name": "harness", **root})
        if whole:
            _write_whole(out, whole)
        for (suite, backend), cells in suites.items():
            _write_suite(out, f"{suite}.{backend}", cells, analysis.run.header.created)
        _close(out, "testsuites")
        out.endDocument()
    return (path,)


def _write_whole(out: XMLGenerator, whole: Sequence[Finding]) -> None:
    _open(out, "testsuite", {"name": WHOLE, **_count(whole, 0.0)})
    for number, found in enumerate(whole, start=1):
        name = found.kind if [one.kind for one in whole].count(found.kind) == 1 else f"{found.kind} {number}"
        _open(out, "testcase", {"classname": WHOLE, "name": name, "time": "0"})
        _write_finding(out, found)
        _close(out, "testcase")
    _close(out, "testsuite")


def _write_suite(out: XMLGenerator, name: str, cells: Sequence[Judged], created: str) -> None:
    seconds = sum(result.seconds for result, _, _ in cells)
    moment = {"timestamp": created[:19]} if created else {}
    _open(out, "testsuite", {"name": name, **_count([found for _, _, found in cells], seconds), **moment})
    for result, row, found in cells:
        case = f"{result.law} {result.problem}".strip()
        _open(out, "testcase", {"classname": name, "name": case, "time": _seconds(result.seconds)})
        if row is not None:
            _write_properties(out, row)
        if found is not None:
            _write_finding(out, found)
        _close(out, "testcase")
    _close(out, "testsuite")


def _write_properties(out: XMLGenerator, row: Row) -> None:
    ratio = row.judgement.ratio
    values = {"verdict": row.judgement.verdict, "passes": str(row.judgement.passes)}
    if ratio is not None:
        values |= {"ratio": repr(ratio.value), "ratio_low": repr(ratio.low), "ratio_high": repr(ratio.high)}
    _open(out, "properties", {})
    for name, value in values.items():
        _open(out, "property", {"name": name, "value": value})
        _close(out, "property")
    _close(out, "properties")


def _write_finding(out: XMLGenerator, found: Finding) -> None:
    element = ELEMENTS[found.level]
    prefix = "" if found.level == "idle" else f"{found.kind}: "
    _open(out, element, {"type": found.kind, "message": f"{prefix}{found.message}"})
    if element != "skipped":
        out.characters("\n".join(map(_clean, found.text.split("\n"))))
    _close(out, element)


def _count(findings: Iterable[Finding | None], seconds: float) -> dict[str, str]:
    counts = Counter("passed" if found is None else ELEMENTS[found.level] for found in findings)
    return {
        "tests": str(counts.total()), "failures": str(counts["failure"]), "errors": str(counts["error"]),
        "skipped": str(counts["skipped"]), "time": _seconds(seconds),
    }  # fmt: skip


def _seconds(seconds: float) -> str:
    return f"{seconds:.6f}"


def _open(out: XMLGenerator, name: str, attributes: dict[str, str]) -> None:
    from xml.sax.xmlreader import AttributesImpl

    out.startElement(name, AttributesImpl({key: _clean(value) for key, value in attributes.items()}))
    if name in ("testsuites", "testsuite"):
        out.ignorableWhitespace("\n")


def _close(out: XMLGenerator, name: str) -> None:
    out.endElement(name)
    if name in ("testsuites", "testsuite", "testcase"):
        out.ignorableWhitespace("\n")


def _clean(text: str) -> str:
    """Return text that XML permits, and that does nothing where a service shows it."""
    return FORBIDDEN.sub("", make_inert(text))
