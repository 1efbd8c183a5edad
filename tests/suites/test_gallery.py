"""The gallery's laws hold on right backends, each is broken by a fault, and their pictures show what they say."""

import sys

import numpy as np
import pytest

import harness
from harness.analysis.analyse import analyse
from harness.record.run import WRONG
from reports.reporters import write_pages
from suites.correctness import asked_problems
from suites.gallery import gallery_problems
from suites.laws import gallery
from suites.laws.gallery import GALLERY, HEIGHT, LAWS, WIDTH, paint, paint_difference, wrap_around
from tests.asking import ask
from tests.conftest import FORWARD
from tests.faulty import forward
from tests.faulty.right import Right

BY_NAME = {law.name.removeprefix("gallery-"): law for law in LAWS}
PROBLEMS = [item.problem for item in gallery_problems()]
FAULTS = {fault.name: fault for fault in forward.FAULTS}
KILLERS = {
    "identity": "faulty:scaled", "sharpen": "faulty:rectified", "emboss": "faulty:flipped",
    "edges": "faulty:rectified", "mean-blur": "faulty:rounded", "gaussian-2d": "faulty:last-tap-lost",
    "gaussian-1d": "faulty:one-nan", "brighten": "faulty:first-image-only", "darken": "faulty:width-tail-lost",
}  # fmt: skip
SUMS = {
    "identity": 1, "sharpen": 1, "emboss": 0, "edges": 0, "mean-blur": 1, "gaussian-2d": 1, "gaussian-1d": 1,
    "brighten": 1.3, "darken": 0.7,
}  # fmt: skip


def _ask(backend, name, dtype="float32"):
    law = BY_NAME[name]
    (problem,) = (one for one in PROBLEMS if law.applies(one))
    return ask(backend, law, problem.with_(dtype=dtype).line)


@pytest.mark.parametrize("name", GALLERY)
@pytest.mark.parametrize("backend", ["right", "numpy-direct", "im2col", "fft", "torch"])
def test_a_right_backend_keeps_the_laws_and_the_brightness(backend, name, registry):
    if backend == "torch":
        pytest.importorskip("torch")
    done = _ask(registry.backends[backend], name)
    assert done.outcome == "passed", done.reason
    assert not done.deviation.proves_nothing
    figures = done.deviation.attachments.figures
    photograph = gallery.load_photograph().mean()
    assert figures["sum of the kernel"] == pytest.approx(SUMS[name], abs=1e-12)
    assert figures["brightness wanted"] == pytest.approx(SUMS[name] * photograph, abs=1e-6)
    assert figures["brightness got"] == pytest.approx(SUMS[name] * photograph, abs=1e-6)
    assert figures["largest difference in units of its bound"] <= 1


@pytest.mark.parametrize("dtype", ["float64", "float16", "bfloat16"])
def test_other_dtypes_have_their_own_bounds(dtype):
    assert _ask(Right(), "gaussian-2d", dtype).outcome == "passed"
    assert _ask(FAULTS["faulty:last-tap-lost"](), "gaussian-2d", dtype).outcome == "failed"


@pytest.mark.parametrize("name", GALLERY)
def test_law_is_broken_by_its_fault(name):
    done = _ask(FAULTS[KILLERS[name]](), name)
    assert done.outcome in WRONG
    assert done.deviation.attachments.figures["largest difference in units of its bound"] > 1


def test_a_turned_kernel_shows_in_emboss_alone():
    outcomes = {name: _ask(forward.Flipped(), name).outcome for name in GALLERY}
    assert {name for name, outcome in outcomes.items() if outcome == "failed"} == {"emboss"}


def test_the_brightness_is_the_backend_s_own():
    figures = _ask(forward.Rectified(), "edges").deviation.attachments.figures
    assert figures["brightness wanted"] == pytest.approx(0, abs=1e-12)
    assert figures["brightness got"] > 0.01


def test_only_a_periodic_image_keeps_its_brightness(monkeypatch):
    def frame(x, kernel):
        return np.pad(x, [(0, 0), (0, 0), *(((m - 1) // 2,) * 2 for m in kernel)])

    monkeypatch.setattr(gallery, "wrap_around", frame)
    done = _ask(Right(), "mean-blur")
    assert done.outcome == "failed"
    assert done.reason.startswith("mean of y[")


def test_an_image_is_continued_from_its_other_side():
    x = np.arange(12.0).reshape(1, 1, 3, 4)
    assert wrap_around(x, (1, 5))[0, 0, 0].tolist() == [2, 3, 0, 1, 2, 3, 0, 1]
    assert wrap_around(x, (3, 1))[0, 0, :, 0].tolist() == [8, 0, 4, 8, 0]


def test_gaussians_are_sampled_and_renormalised():
    row, square = GALLERY["gaussian-1d"][1]()[0], GALLERY["gaussian-2d"][1]()
    assert row.sum() == pytest.approx(1) and square.sum() == pytest.approx(1)
    assert row[5] / row[3] == pytest.approx(np.exp(-(2**2) / (2 * gallery.SIGMA_1D**2)))
    assert square[0, 3] / square[2, 2] == pytest.approx(np.exp(-(2**2 + 1) / (2 * gallery.SIGMA_2D**2)))


@pytest.mark.slow  # makes all problems
def test_the_laws_are_asked_of_no_other_problem():
    assert not any(law.applies(item.problem) for law in LAWS for item in asked_problems())


def test_the_laws_are_asked_of_the_gallery(registry):
    assert [sum(law.applies(problem) for problem in PROBLEMS) for law in LAWS] == [1] * len(LAWS)
    assert registry.suites["gallery"].laws == tuple(f"gallery-{name}" for name in GALLERY)
    assert all(registry.laws[law.name] is law for law in LAWS)
    assert "gallery" not in registry.suites["suite"].parts
    assert set(KILLERS) == set(GALLERY) == set(SUMS)


def test_the_photograph_is_shown_once_and_identity_shows_it_again():
    identity, sharpen = (_ask(Right(), name).deviation.attachments for name in ("identity", "sharpen"))
    assert list(identity.pictures) == ["photograph", "result", "difference"]
    assert list(sharpen.pictures) == ["result", "difference"]
    assert identity.pictures["result"] == identity.pictures["photograph"] != sharpen.pictures["result"]
    assert identity.pictures["result"].shape == (HEIGHT, WIDTH, 3)
    assert set(identity.pictures["difference"].pixels) == {0}
    assert sharpen.matrices["kernel"] == ((-1, -1, -1), (-1, 9, -1), (-1, -1, -1))


def test_a_picture_is_cut_off_at_black_and_white():
    y = np.array([-0.5, 0.2, 1.5, np.nan, np.inf, -np.inf]).reshape(1, 1, 1, 6).repeat(3, axis=0)
    assert list(paint(y).pixels[::3]) == [0, 51, 255, 0, 255, 0]


def test_a_difference_is_white_where_it_is_largest_or_no_number():
    error = np.zeros((3, 1, 1, 4))
    error[1, 0, 0, :3] = 1e-7, 2e-7, 5e-8
    assert list(paint_difference(error).pixels) == [128, 255, 64, 0]
    error[2, 0, 0, 3] = np.nan
    assert list(paint_difference(error).pixels) == [128, 255, 64, 255]


def test_without_scikit_learn_the_laws_say_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    done = _ask(Right(), "sharpen")
    assert done.outcome == "unsupported"
    assert "scikit-learn or Pillow is not installed" in done.reason and "conv-harness[learn]" in done.reason


@pytest.mark.slow
def test_a_run_shows_its_pictures_side_by_side(tmp_path):
    run = harness.run(
        "gallery", backends=["im2col", "faulty:one-nan"], laws=["gallery-identity", "gallery-emboss"],
        plugins=[FORWARD], output=tmp_path / "run",
    )  # fmt: skip
    outcomes = {(one.backend, one.law): one.outcome for one in run.results}
    assert set(outcomes.values()) == {"passed", "failed"}
    report, shown = write_pages(analyse(harness.load(tmp_path / "run")), tmp_path)
    assert (report.name, shown.name) == ("report.html", "gallery.html")
    text = shown.read_text()
    assert text.count("data:image/png;base64,") == 1 + 2 * 2 * 2  # the photograph, and two for each law and backend
    assert text.count('<div class="wrong">') == 2
    assert "2 of 4 pictures are wrong" in text
    assert "gallery.html" in report.read_text()
