"""Cheats that only a CUDA device allows are caught, or gain nothing; without a device they say why they cannot run."""

import re
from functools import cache

import pytest

from harness.analysis.statistics import estimate_time
from tests.cheats.once import time_once
from tests.conftest import ROOT

PLUGIN = str(ROOT / "tests" / "cheats" / "device.py")
PROBLEM = "conv x=32x64x56x56 w=64x64x3x3 pad=1"  # some hundred microseconds, many times what a launch takes
LIBRARIES = [
    pytest.param("torch", marks=pytest.mark.gpu("torch-cudnn")),
    pytest.param("cupy", marks=pytest.mark.gpu("cupy")),
]


KINDS = ("honest", "never-waits", "another-stream", "freed-memory")


@pytest.fixture(scope="module")
def results_of(tmp_path_factory):
    """Return a function that returns the results of a library's backends by kind, all of one run: the start is slow."""

    @cache
    def find(library):
        names = [f"cheat:{library}-{kind}" for kind in KINDS]
        run = time_once(tmp_path_factory.mktemp(library), PLUGIN, names, PROBLEM)
        return dict(zip(KINDS, (next(r for r in run.results if r.backend == name) for name in names), strict=True))

    return find


@pytest.mark.parametrize("library", LIBRARIES)
def test_an_honest_backend_is_timed_on_a_device(results_of, library):
    result = results_of(library)["honest"]
    assert result.outcome == "passed", result.reason


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_backend_that_waits_for_nothing_gains_nothing(results_of, library):
    honest, cheat = (results_of(library)[kind] for kind in ("honest", "never-waits"))
    assert honest.outcome == "passed", honest.reason
    if cheat.measurement is None:
        assert re.search("looked at|changed after synchronisation|faster than this machine", cheat.reason)
    else:
        times = [estimate_time(one.measurement).value for one in (honest, cheat)]
        assert times[1] > 0.5 * times[0]  # a launch alone is a tenth of it and less


@pytest.mark.parametrize("library", LIBRARIES)
def test_work_on_another_stream_has_no_time(results_of, library):
    result = results_of(library)["another-stream"]
    assert (result.outcome in ("error", "failed"), result.measurement) == (True, None), result.reason


@pytest.mark.parametrize("library", LIBRARIES)
def test_an_answer_that_was_left_in_freed_memory_has_no_time(results_of, library):
    result = results_of(library)["freed-memory"]
    assert (result.outcome in ("error", "failed"), result.measurement) == (True, None), result.reason


@pytest.mark.slow
def test_every_cheat_says_why_it_cannot_run_or_has_a_result(tmp_path):
    for library in ("torch", "cupy"):
        run = time_once(tmp_path / library, PLUGIN, f"cheat:{library}-freed-memory", "conv x=1x2x9 w=3x2x3")
        reasons = run.unavailable.values()
        assert len(run.results) == 1
        assert run.results[0].measurement is None
        assert all(len(reason) > 10 for reason in reasons)
