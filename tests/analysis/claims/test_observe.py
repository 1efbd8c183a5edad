"""Claims written from results: scopes without anything unsupported, rows that hold, and a text that is stable."""

import datetime
import itertools
import random
import tomllib
from dataclasses import replace

import pytest

from harness.analysis.claims.judge import judge_claims
from harness.analysis.claims.observe import generalise, group_support, observe
from harness.analysis.claims.write import write_claims
from harness.laws.deviation import Deviation
from harness.plan.claims.facts import matches, read_facts
from harness.plan.claims.read import build_claims
from harness.plan.claims.rows import KnownFault, Scope
from tests.analysis.claims.made import HALF, LINE, WRONG, cell, judged

LAST = datetime.date(2027, 6, 30)


def text_of(run, known=(), **more):
    return write_claims(run, observe(run, known, "why", "https://example.org/7", LAST, **more))


def claims_of(run, known=()):
    return build_claims("claims.toml", tomllib.loads(text_of(run, known)))


def held(run, claims):
    return judge_claims(replace(run, header=replace(run.header, claims=claims)))


def test_what_was_seen_together_becomes_one_row():
    lines = [
        f"{operator} x={shape} {kernel}{dtype}{layout}{more}"
        for operator, kernel in (("conv", "w=3x2x3"), ("max_pool", "kernel=3"))
        for shape in ("1x2x9",)
        for dtype in ("", " dtype=float16")
        for layout in ("", " layout=channels-last")
        for more in ("", " stride=2", " pad=1")
    ]
    (group,) = group_support([cell(line=line) for line in lines])
    assert group.scope == Scope(
        backend="mine", operators=("conv", "max_pool"), dtypes=("float32", "float16"),
        layouts=("channels-first", "channels-last"), axes=(1,), windows=("stride", "pad"),
    )  # fmt: skip
    assert group.cells == len(lines)


def test_no_value_is_joined_that_was_not_seen_with_the_others():
    seen = ["conv x=1x2x9 w=3x2x3", "conv x=1x2x9x9 w=3x2x3x3 dtype=float16"]
    groups = group_support([cell(line=line) for line in seen])
    assert [(group.scope.dtypes, group.scope.axes) for group in groups] == [(("float32",), (1,)), (("float16",), (2,))]


def test_no_row_holds_an_unsupported_problem():
    draw = random.Random(7)
    for _ in range(60):
        combinations = [
            f"conv x=1x4x9 w=4x{4 // groups}x3{stride}{pad}{f' groups={groups}' if groups > 1 else ''}{dtype}"
            for stride, pad, groups, dtype in itertools.product(
                ("", " stride=2"), ("", " pad=1", " pad=0:1"), (1, 2), ("", " dtype=float16")
            )
        ]
        draw.shuffle(combinations)
        cut = draw.randrange(1, len(combinations))
        right, refused = combinations[:cut], combinations[cut : cut + 5]
        groups = group_support([cell(line=one) for one in right], [cell("unsupported", one) for one in refused])
        assert not [one for one in refused if any(group.scope.covers(one) for group in groups)]
        left = [one for one in right if not any(group.scope.covers(one) for group in groups)]
        bars = [read_facts(one) for one in refused]
        for one in left:  # only what no words can tell from an unsupported problem
            facts = read_facts(one)
            assert any(bar.dtype == facts.dtype and bar.windows <= facts.windows for bar in bars)


def test_support_that_words_cannot_tell_apart_is_said_and_not_promised():
    run = judged(cell(line="conv x=1x2x9 w=3x2x3"), cell("unsupported", "conv x=1x2x9 w=3x2x5"), promises=())
    observed = observe(run, (), "why", "https://example.org/7", LAST)
    assert observed.groups == ()
    assert observed.outside == {"mine conv": 1}


@pytest.mark.parametrize(
    ("reason", "pattern"),
    [
        ("y[0, 1]: got -1.5e-05, wanted 2 exactly", "y[*]: got *, wanted * exactly"),
        ("y for tap [0][1, 3, 5]: got nan, wanted inf", "y for tap [*][*]: got *, wanted *"),
        ("float16 is cut, x2 too", "float16 is cut, x2 too"),
        ("segfault at 0x7f00ab in im2col.so.1", "segfault at * in im2col.so.1"),
        ("12", "12"),
        ("0.5 * y", "0.5 * y"),
    ],
)
def test_numbers_of_a_reason_are_left_open(reason, pattern):
    assert generalise(reason) == pattern
    assert matches(pattern, reason)


def test_the_text_is_the_same_for_results_in_any_order_and_can_be_read():
    results = [
        cell(), cell(line=HALF), cell("failed", HALF, law="b"), cell("failed", HALF, law="a"),
        cell("failed", LINE, law="a", reason="another reason"), cell(line="max_pool x=1x2x9 kernel=3"),
    ]  # fmt: skip
    text = text_of(judged(*results))
    for order in itertools.islice(itertools.permutations(results), 0, 720, 37):
        assert text_of(judged(*order)) == text
    assert len(build_claims("c", tomllib.loads(text)).faults) == 3
    assert "# 2 cells, such as conv x=1x2x9 w=3x2x3\n" in text
    assert text.endswith("\n") and "\n\n\n" not in text


def test_a_run_that_is_held_against_its_own_claims_is_green_and_any_regression_is_not():
    results = [
        cell(), cell(law="other"), cell(line=HALF), cell("failed", HALF, law="a", worst=5.0),
        cell("crashed", LINE, law="a", reason="the worker died with signal 11"),
        cell("skipped", LINE, law="x", reason="r"), cell("unsupported", "conv x=1x2x9x9 w=3x2x3x3"),
    ]  # fmt: skip
    run = judged(*results)
    claims = claims_of(run)
    report = held(run, claims)
    assert report.exit_code == 0
    assert len(report.excused) == 2
    assert not report.unclaimed
    for number, one in enumerate(results[:3]):
        for worse in (cell("failed", one.problem, one.law), cell("unsupported", one.problem, one.law)):
            assert held(judged(*results[:number], worse, *results[number + 1 :]), claims).exit_code == 1, number
    for number, worse in (
        (3, cell("failed", HALF, law="a", worst=50.0)),
        (3, cell("failed", HALF, law="a", reason="y[0]: got 0, wanted -1 exactly")),
        (3, cell("crashed", HALF, law="a", reason=WRONG)),
        (4, cell("crashed", LINE, law="a", reason="it ran out of memory")),
    ):
        assert held(judged(*results[:number], worse, *results[number + 1 :]), claims).exit_code == 1, worse


def test_an_error_without_a_bound_has_no_limit():
    run = judged(cell(), cell("failed", HALF, worst=float("inf")), cell("error", HALF, law="a", reason="KeyError: 3"))
    assert [fault.worst for fault in claims_of(run).faults] == [None, None]
    assert held(run, claims_of(run)).exit_code == 0


def test_rows_of_an_earlier_file_are_kept_while_they_hold():
    mine = KnownFault(
        scope=Scope(backend="mine", problems=("*dtype=float16*",)), law="tap-probe", outcome="failed",
        diagnosis="*value negated*", reason="my words", link="https://example.org/1", strict=True,
        expires=datetime.date(2027, 3, 31),
    )  # fmt: skip
    run = judged(cell(), cell("failed", HALF), cell("failed", LINE, law="a"))
    gone = replace(mine, law="b")
    expired = replace(
        mine, law="a", scope=Scope(backend="mine", problems=("conv *",)), expires=datetime.date(2026, 1, 1)
    )
    claims = claims_of(run, known=(mine, gone, expired))
    assert mine in claims.faults
    assert [(fault.law, fault.reason) for fault in claims.faults] == [("a", "why"), ("tap-probe", "my words")]
    assert held(run, claims).exit_code == 0


def test_an_arm_with_settings_has_rows_of_its_own_where_the_backend_is_right():
    arm = "mine@set:A=1"
    both = judged(cell(), cell("failed", HALF), cell("failed", HALF, arm=arm), cell("failed", LINE, arm=arm))
    assert [fault.scope.backend for fault in claims_of(both).faults] == ["mine", arm]


def test_a_law_that_asks_for_other_operators_shows_no_support():
    strange = cell(law="asks-another", deviation=Deviation(kind="exact", worst=0.0, compared=4))
    run = judged(strange, cell("unsupported"), cell(line=HALF))
    assert [group.scope.dtypes for group in observe(run, (), "w", "l", LAST).groups] == [("float16",)]


def test_texts_of_a_record_end_no_comment_and_no_text():
    evil = 'x"\n[[fault]]\n\x1b[31m'
    run = judged(cell(), cell("failed", HALF, law="a", reason=f"{evil} is the reason"))
    run = replace(run, header=replace(run.header, suites=(evil,)))
    claims = claims_of(run)
    assert [fault.diagnosis for fault in claims.faults] == [f"{evil} is the reason"]
    assert "\x1b" not in text_of(run)
