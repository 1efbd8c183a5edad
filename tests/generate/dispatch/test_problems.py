"""Parts of the problems of a family."""

from dataclasses import replace

import pytest

from harness import Operator, parse_line
from harness.generate.dispatch.problems import with_long_numbers


@pytest.mark.parametrize("operator", [one for one in Operator if one.pools and not one.spec.indexed])
def test_long_numbers_are_left_out_where_an_operator_refuses_them(operator, monkeypatch):
    problem = parse_line(f"{operator} x=1x2x5 kernel=2 data=integer")
    assert with_long_numbers(problem).data == "long"
    monkeypatch.setattr(operator, "spec", replace(operator.spec, refused_data={"long": "no sums"}))
    assert with_long_numbers(problem).data == "integer"
