"""Cards of a report: right or wrong, the largest cause, speed and precision of each backend."""

from dataclasses import replace

import pytest

from harness import analyse
from harness.record.run import REFUSED
from reports.page import write
from reports.sections.cards import make_cards, markdown
from tests.reports.made import PLAIN, compare_arms, fail, make_run, measure, observe, result, spread, time_cell

LONG = PLAIN.replace("x9", "x90")


def _number(*results):
    return [replace(one, cell=number) for number, one in enumerate(results)]


def _cards(*results):
    return {card.arm: card for card in make_cards(analyse(make_run(*_number(*results))))}


def test_a_wrong_backend_comes_first_with_its_largest_cause():
    negated = [fail(note="9 of 9 wrong: got the wanted value negated", line=line) for line in (LONG, PLAIN)]
    other = fail(note="1 of 9 wrong: only at [3], the last element")
    right = measure("right", 24.0)
    run = make_run(*_number(right, other, *negated))
    first, second = make_cards(analyse(run))
    assert (first.arm, first.state, first.said) == ("mine", "bad", "wrong in 3 cells of 3, for 2 causes")
    laws, reason, problem, command = first.cause
    assert laws == "agrees-with-reference, 2 cells"
    assert reason.endswith("got the wanted value negated")
    assert problem == PLAIN
    assert PLAIN in command
    assert (second.arm, second.state, second.cause) == ("right", "good", None)
    assert second.said == "right in the only cell that ran"


@pytest.mark.parametrize(
    ("results", "state", "said"),
    [
        ([measure("mine", 24.0), measure("mine", 22.5, LONG)], "good", "right in all 2 cells that ran"),
        ([measure("mine", 24.0, vacuous=10)], "open", "nothing is proven"),
        ([fail(), measure("mine", 24.0)], "bad", "wrong in 1 cell of 2, for one cause"),
    ],
)
def test_a_card_says_whether_a_backend_is_right(results, state, said):
    card = _cards(*results)["mine"]
    assert (card.state, card.said) == (state, said)


def test_backends_that_did_not_run_have_no_card():
    idle = result("idle", "agrees-with-reference", PLAIN, "unavailable", None, reason="no device")
    assert list(_cards(idle, measure("mine", 24.0))) == ["mine"]


def test_a_card_has_the_least_bits_and_what_did_not_run():
    skipped = result("mine", "tap-probe", PLAIN, "skipped", None, reason="--depth quick")
    card = _cards(measure("mine", 24.0), measure("mine", 22.5, LONG), skipped)["mine"]
    assert card.notes == ("at least 22.5 effective bits in float32", "1 skipped")


def test_a_card_says_where_a_backend_is_the_fastest_and_how_far_it_is_from_it():
    results = _number(
        time_cell(0, "base", spread(1000.0)), time_cell(1, "new", spread(2000.0)),
        time_cell(2, "base", spread(1000.0), LONG), time_cell(3, "new", spread(500.0), LONG),
    )  # fmt: skip
    cards = {card.arm: card for card in make_cards(analyse(compare_arms(*results)))}
    assert cards["base"].notes[0] == "fastest in 1 of 2 timed cells"
    assert cards["new"].notes[0] == "fastest in 1 of 2 timed cells"
    for card in cards.values():  # the mean of 1 and 2
        assert card.notes[1].startswith("1.41 times as long as the fastest (1.4")
        assert card.notes[1].endswith("geometric mean of 2 cells")


def test_a_single_backend_is_compared_with_nothing():
    card = _cards(time_cell(0, "mine", spread(1000.0)))["mine"]
    assert card.notes == ("1 timed cell, compared with no other backend",)


def test_cells_that_one_backend_alone_was_timed_in_do_not_count():
    results = _number(
        time_cell(0, "base", spread(1000.0)), time_cell(1, "new", spread(2000.0)),
        time_cell(2, "new", spread(1.0), LONG),
    )  # fmt: skip
    cards = {card.arm: card for card in make_cards(analyse(compare_arms(*results)))}
    assert cards["new"].notes[0] == "fastest in 0 of 1 timed cell"
    assert cards["base"].notes == ("fastest in 1 of 1 timed cell",)


def test_a_backend_whose_passed_cells_prove_nothing_is_not_green():
    few = [measure("mine", 24.0, vacuous=10), *(measure("mine", 24.0, LONG) for _ in range(3))]
    card = _cards(*few)["mine"]
    assert (card.state, card.said) == ("bad", "right in 3 of 4 cells that ran")
    assert "1 cell proves nothing" in card.notes


def test_what_was_refused_or_never_ended_leaves_a_card_open():
    refused = result("mine", "tap-probe", PLAIN, "unsupported", None, reason=f"{REFUSED}: no")
    card = _cards(measure("mine", 24.0), refused)["mine"]
    assert (card.state, card.said) == ("open", "right in the only cell that ran; refused 1 in a call that it supports")
    assert _cards(refused)["mine"].said == "nothing ran; refused 1 in a call that it supports"
    (card,) = make_cards(analyse(make_run(*_number(measure("mine", 24.0)), complete=False)))
    assert card.state == "open"


def test_the_page_opens_with_the_cards_and_ends_with_the_machine(tmp_path):
    run = make_run(*_number(fail(), measure("right", 24.0), observe("right", "tie-rule", "first")))
    (path,) = write(analyse(run), tmp_path)
    page = path.read_text()
    places = [page.index(text) for text in ('id="answer"', 'id="outcomes"', 'id="failures"', 'id="all"', 'id="about"')]
    assert places == sorted(places)
    assert page.index("wrong in 1 cell of 1") < page.index("right in all 2 cells")
    assert "<details>\n<summary>2 laws passed on all backends that ran</summary>" not in page
    assert "1 law passed on all backends that ran" in page
    assert list(markdown(analyse(run)))[1].startswith("- **mine**: wrong in 1 cell of 1, for one cause")


def test_a_page_without_results_has_no_cards(tmp_path):
    (path,) = write(analyse(make_run()), tmp_path)
    assert 'id="answer"' not in path.read_text()
