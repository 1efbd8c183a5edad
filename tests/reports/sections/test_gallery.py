"""Pictures of laws: whose they are, what stands under them, and what is said where there are none."""

import base64
import io
import re
import sys

import numpy as np
import pytest

from harness.analysis.analyse import analyse
from harness.laws.attachments import Attachments, Picture
from harness.laws.deviation import Deviation
from harness.plugins.manager import load_plugins
from tests.reports.made import fail, make_run, result

PHOTOGRAPH = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
BLUR, EDGES = "blur-law", "edges-law"


def _picture(a):
    return Picture(shape=a.shape, pixels=a.astype(np.uint8).tobytes())


def _show(backend, law, got=0.25, worst=0.5, outcome="passed", shade=100, **pictures):
    """A result of a law with pictures of 2x4."""
    attachments = Attachments(
        figures={
            "sum of the kernel": 0.5, "brightness wanted": 0.25, "brightness got": got,
            "largest difference": worst / 1000, "largest difference in units of its bound": worst,
        },
        matrices={"kernel": ((0.0, 0.125, -1.0),)},
        pictures=pictures | {
            "result": _picture(np.full((2, 4, 3), shade)), "difference": _picture(np.full((2, 4), 7)),
        },
    )  # fmt: skip
    found = Deviation(kind="bound", worst=worst, compared=24, attachments=attachments)
    return result(backend, law, "conv x=3x1x2x6 w=1x1x1x3", outcome, found, reason=None if worst <= 1 else "y is <off>")


@pytest.fixture
def shown():
    return make_run(
        _show("mine", BLUR, photograph=_picture(PHOTOGRAPH)), _show("mine", EDGES),
        _show("other", BLUR, got=1e-9, worst=40.0, outcome="failed", shade=200), _died("other", EDGES),
    )  # fmt: skip


def _died(backend, law):
    return result(backend, law, "conv x=3x1x2x6 w=1x1x1x3", "crashed", None, reason="SIGSEGV")


def _write(run, name, folder):
    return {path.name: path.read_text() for path in load_plugins().reporter(name).write(analyse(run), folder)}


def _pixels(uri):
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.removeprefix("data:image/png;base64,")))))


def test_the_page_holds_the_pictures_as_they_are(shown, tmp_path):
    page = _write(shown, "html", tmp_path)["gallery.html"]
    found = [_pixels(uri) for uri in re.findall(r'(?:src|href)="(data:image/png[^"]*)"', page)]
    assert np.array_equal(found[0], PHOTOGRAPH)
    shades = [(a.ndim, int(a.flat[0])) for a in found[1:]]
    assert shades == [(3, 100), (2, 7), (3, 200), (2, 7), (3, 100), (2, 7)]
    assert page.count('<use href="#photograph"/>') == 2
    assert not re.search(r"(src|href)=[\"']?(https?:)?//", page)


def test_what_is_wrong_is_marked_with_its_reason(shown, tmp_path):
    page = _write(shown, "html", tmp_path)["gallery.html"]
    assert "2 of 4 pictures are wrong" in page
    fields = re.findall(r'<div( class="wrong")?>\n<span class="head">([a-z]+)(.*?)\n</div>', page, re.DOTALL)
    assert [(bool(mark), name) for mark, name, _ in fields] == [
        (False, "mine"), (True, "other"), (False, "mine"), (True, "other"),
    ]  # fmt: skip
    assert "y is &lt;off&gt;" in fields[1][2] and "worst 40 of its bound" in fields[1][2]
    assert "SIGSEGV" in fields[3][2] and "<img" not in fields[3][2]
    assert "<td>0</td><td>0.125</td><td>-1</td>" in page


def test_the_run_page_has_a_table_that_leads_to_the_pictures(shown, tmp_path):
    page = _write(shown, "html", tmp_path)["report.html"]
    section = re.search(r'<section id="gallery">.*?</section>', page, re.DOTALL)[0]
    assert '<a href="gallery.html">' in section
    assert "<td>0.5</td><td>0.2500</td>" in section.replace("\n", "").replace("> <", "><")
    assert re.search(r'<td class="law-bad">0<small>worst 40</small></td>', section)
    assert re.search(r'<td class="law-bad">crashed<small>SIGSEGV</small></td>', section)


def test_markdown_has_the_same_table(shown, tmp_path):
    lines = _write(shown, "markdown", tmp_path)["report.md"].splitlines()
    assert "| law | sum | brightness wanted | mine | other |" in lines
    assert r"| blur-law | 0.5 | 0.2500 | 0.2500 (worst 0.50) | **0 (worst 40)** |" in lines
    assert "| edges-law | 0.5 | 0.2500 | 0.2500 (worst 0.50) | **crashed (SIGSEGV)** |" in lines


def test_two_problems_of_a_law_are_told_apart(tmp_path):
    other = result("mine", BLUR, "conv x=3x1x2x6 w=1x1x1x3 dtype=float64", "passed", _show("mine", BLUR).deviation)
    lines = _write(make_run(_show("mine", BLUR), other), "markdown", tmp_path)["report.md"].splitlines()
    assert sum(line.startswith("| blur-law: conv x=3x1x2x6") for line in lines) == 2


def test_without_pillow_the_page_says_what_pictures_need(shown, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    files = _write(shown, "html", tmp_path)
    assert set(files) == {"report.html"}
    page = files["report.html"].replace("&#39;", "'")
    assert "Pictures need Pillow, which is not installed: pip install 'conv-harness[learn]'" in page
    assert "gallery.html" not in page


def test_a_run_without_pictures_has_no_gallery(tmp_path):
    run = make_run(fail())
    assert set(_write(run, "html", tmp_path)) == {"report.html"}
    assert "Gallery" not in _write(run, "markdown", tmp_path)["report.md"]


def test_an_incomplete_run_says_so_on_its_gallery(tmp_path):
    page = _write(make_run(_show("mine", BLUR), complete=False), "html", tmp_path)["gallery.html"]
    assert "INCOMPLETE" in page
    assert "the law <code>gallery-identity</code> does" in page  # no photograph here
