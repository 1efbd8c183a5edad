"""`harness.fuzz` finds what `python -m harness fuzz` finds."""

import math
import re

import pytest
from hypothesis import configuration

import harness
import harness.cli.fuzz
import harness.cli.summary  # before the first search: Hypothesis draws constants of the modules that are loaded
from harness.experiments.fuzz_corpus import read_cases
from tests.conftest import DYING, ROOT
from tests.record.stored import call

FORWARD = str(ROOT / "tests" / "faulty" / "forward.py")
LAWS = ("agrees-with-reference",)
TAIL = "faulty:width-tail-lost"


def ask_both(capsys, corpora, *backends, plugin, examples=12, laws=LAWS, **more):
    """Fuzz by the function and by the command, with the same seed; both must agree."""
    report = harness.fuzz(
        *backends, plugins=[plugin], laws=laws, examples=examples, seed=1, corpus=corpora[0], **more
    )  # fmt: skip
    words = [word for backend in backends for word in ("--backend", backend)]
    words += [word for law in laws for word in ("--law", law)]
    words += [word for name, values in more.items() for value in values for word in (f"--{name[:-1]}", value)]
    code, said, _ = call(
        capsys, "fuzz", *words, "--plugin", plugin, "--examples", str(examples), "--seed", "1", "--corpus", corpora[1]
    )  # fmt: skip
    assert code == report.exit_code
    assert isinstance(report.exit_code, harness.ExitCode)
    assert f"seed {report.seed}\n" in said
    for name in ("problem", "reason", "repeat"):
        printed = re.findall(rf"^    {name} +(.*)$", said, re.MULTILINE)
        assert printed == [getattr(finding, name) for finding in report.findings]
    met = re.findall(r"^    met      in problem (\d+), as (.*)$", said, re.MULTILINE)
    assert met == [(str(one.example), one.first) for one in report.findings if not one.replayed]
    for one in report.backends:
        assert read_cases(corpora[0], one.arm) == read_cases(corpora[1], one.arm)
        if not one.unavailable and not one.died:
            counts = f"{one.arm}: {one.problems} problems and {one.applications} law applications in "
            assert counts in said
            assert f"laws broken: {len({finding.law for finding in one.findings})}" in said
    return report, said


def test_function_and_command_find_the_same(capsys, tmp_path):
    corpora = tmp_path / "function", tmp_path / "command"
    report, said = ask_both(capsys, corpora, TAIL, plugin=FORWARD, operators=["conv"])
    assert report.exit_code == harness.ExitCode.WRONG
    assert [finding.law for finding in report.findings] == list(LAWS)
    assert not any(finding.replayed for finding in report.findings)
    assert said.count(f"failed  {TAIL}") == 1
    assert {finding.backend for finding in report.findings} == {TAIL}


@pytest.mark.slow
def test_function_and_command_make_the_same_small_and_replay_it(capsys, tmp_path):
    corpora = tmp_path / "function", tmp_path / "command"
    report, _ = ask_both(capsys, corpora, TAIL, plugin=FORWARD, operators=["conv"])
    for finding in report.findings:
        assert finding.outcome == "failed"
        assert finding.backend == TAIL
        assert f"--problem '{finding.problem}'" in finding.repeat
        assert harness.parse_line(finding.problem).y[-1] == 5  # the smallest at which the fault shows
        assert math.prod(harness.parse_line(finding.problem).x) <= 10
    again, said = ask_both(capsys, corpora, TAIL, plugin=FORWARD, operators=["conv"])
    assert [finding.replayed for finding in again.findings] == [True]
    assert {finding.problem for finding in again.findings} == {finding.problem for finding in report.findings}
    assert said.count(f"still fails  {TAIL}") == 1


@pytest.mark.parametrize(
    ("backends", "more", "code", "reason"),
    [
        pytest.param(
            ("dying:unavailable", "im2col"), {"operators": ["conv"]}, 0, "no such device", marks=pytest.mark.slow
        ),
        pytest.param(("dying:unavailable",), {}, 4, "no such device", marks=pytest.mark.slow),
        (("dying:crashes-in-probe",), {}, 1, "died"),
        pytest.param(("fft",), {"dtypes": ["bfloat16"]}, 4, "fft has no bfloat16", marks=pytest.mark.slow),
        pytest.param(
            ("im2col",),
            {"operators": ["max_pool"], "laws": ("tap-probe",)},
            4,
            "no law applies",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_both_say_why_a_backend_was_not_tested(capsys, tmp_path, backends, more, code, reason):
    report, said = ask_both(
        capsys, (tmp_path / "a", tmp_path / "b"), *backends, plugin=DYING, examples=3, **more
    )  # fmt: skip
    assert report.exit_code == code
    assert reason in report.backends[0].reason
    assert reason in said
    assert [one.arm for one in report.backends] == list(backends)
    assert all(one.reason is None and one.applications for one in report.backends[1:])


def test_the_caches_of_hypothesis_stay_where_they_were(tmp_path):
    before = configuration.storage_directory("examples", intent_to_write=False)
    harness.fuzz("im2col", examples=2, laws=["tap-probe"], operators=["conv"], seed=1, corpus=tmp_path)
    after = configuration.storage_directory("examples", intent_to_write=False)
    assert [getattr(after, "path", after)] == [getattr(before, "path", before)]


def test_a_text_in_the_place_of_a_list_is_refused():
    with pytest.raises(harness.UsageError, match=r"laws: got the text 'tap-probe', wanted a list of such"):
        harness.fuzz("im2col", laws="tap-probe")
