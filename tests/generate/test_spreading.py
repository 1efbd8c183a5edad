"""Laws are spread over problems: whatever meets in any problem of a law meets in one that is asked it."""

import itertools

import pytest

from harness import NamedProblem, parse_line
from harness.generate import spread_laws
from harness.generate.dispatch.flags import flags_of
from harness.generate.spreading import COMMON, FACTORS, cover
from harness.machine.threads import deal_threads
from suites.correctness import ONCE, apart_problems
from suites.laws import all_laws

LAWS = {law.name: law for law in all_laws()}
PROBLEMS = apart_problems()


def _values(law, problem):
    found = [(name, value_of(problem)) for name, value_of in FACTORS.items()]
    return [*found, ("threads", deal_threads(problem.line, law.name))]


def _conditions(problem):
    return {place for place, holds in enumerate(flags_of(problem)) if holds}


def _pairs(law, problem):
    return set(itertools.combinations(_values(law, problem), 2)) | _conditions(problem)


def _singles(law, problem):
    return set(_values(law, problem)) | _conditions(problem)


def _meet(law, named, look):
    return {(one.problem.operator, found) for one in named for found in look(law, one.problem)}


def _split(law):
    """Problems to which a law applies, and those of them that are asked it."""
    offered = [one for one in PROBLEMS if law.applies(one.problem)]
    return offered, [one for one in offered if law.name not in one.spared]


@pytest.mark.parametrize("name", ["scales-by-powers-of-two", "views-are-read-right", "windows-are-counted", *ONCE])
def test_whatever_meets_in_a_problem_of_a_law_meets_in_one_that_is_asked(name):
    law, look = LAWS[name], _singles if name in ONCE else _pairs
    offered, asked = _split(law)
    assert len(asked) < len(offered)
    assert _meet(law, asked, look) == _meet(law, offered, look)


@pytest.mark.parametrize("short", [(), ("float16",), ("bfloat16",)])
def test_a_backend_without_short_dtypes_loses_no_pair(short):
    law = LAWS["views-are-read-right"]
    offered, asked = ([one for one in some if one.problem.dtype in (*COMMON, *short)] for some in _split(law))
    assert _meet(law, asked, _pairs) == _meet(law, offered, _pairs)


@pytest.mark.slow
@pytest.mark.parametrize("name", LAWS)
def test_every_law_meets_all_that_it_could(name):
    law, look = LAWS[name], _singles if name in ONCE else _pairs
    offered, asked = _split(law)
    assert _meet(law, asked, look) == _meet(law, offered, look)


def test_the_law_of_the_reference_is_asked_everywhere():
    assert not any("agrees-with-reference" in one.spared for one in PROBLEMS)


def test_a_law_is_spared_only_where_it_applies():
    assert all(LAWS[name].applies(one.problem) for one in PROBLEMS for name in one.spared)


def test_a_problem_like_another_is_spared_and_one_with_a_pair_of_its_own_is_not():
    lines = (
        "conv x=2x3x9x8 w=4x3x3x3 stride=2 data=integer",
        "conv x=2x3x9x8 w=4x3x3x3 dilation=2 data=integer",
        "conv x=2x3x9x8 w=4x3x3x3 stride=2 dilation=2 data=integer",
        "conv x=2x3x9x8 w=4x3x3x3 stride=2 dilation=2 data=integer seed=1",
    )
    named = [NamedProblem(name=str(number), problem=parse_line(line)) for number, line in enumerate(lines)]
    law = LAWS["inputs-stay"]
    asked = [one for one in spread_laws(named, [law]) if not one.spared]
    assert _meet(law, asked, _pairs) == _meet(law, named, _pairs)
    assert {"0", "1"} <= {one.name for one in asked}


def test_cover_keeps_few_keys_with_all_bits():
    assert cover({1: 0b0011, 2: 0b0110, 3: 0b1100, 4: 0b1000}) == {1, 3}
    assert cover({}) == set()
