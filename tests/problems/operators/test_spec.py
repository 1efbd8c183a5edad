"""Declarations of a spec hold for the operator's reference."""

import inspect

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import GeometryError, Operator, Problem, UsageError, Window, parse_line
from harness.generate import strategy
from harness.generate.dispatch.conditions import conditions_for
from harness.generate.dispatch.possible import representative
from harness.problems import reference
from harness.problems.accumulation import list_sums, longest_sum, most_terms
from harness.problems.data import make_arrays
from harness.problems.operators.spec import OperatorSpec

EVERY = pytest.mark.parametrize("operator", list(Operator))
POOLS = pytest.mark.parametrize("operator", [operator for operator in Operator if operator.pools])


def _example(operator: Operator, **changes) -> Problem:
    shape = "kernel=3x2" if operator.pools else "w=4x6x3x2" if operator.spec.transposed else "w=6x2x3x2 groups=2"
    line = f"{operator} x=2x4x7x8 {shape} stride=2,1 pad=1:0,1 dtype=float64 data=integer"
    return parse_line(line).with_(**changes)


def _run(problem, arrays):
    return reference.compute(problem, arrays)[problem.operator.outputs[0]]


@EVERY
def test_an_operator_has_the_name_of_its_spec_and_functions_of_one_signature(operator):
    spec = operator.spec
    assert operator.name == operator.value == spec.name == str(operator)
    count = len(spec.arguments(_example(operator), make_arrays(_example(operator))))
    for function in (spec.reference, spec.loops):
        needed = [one for one in inspect.signature(function).parameters.values() if one.default is one.empty]
        assert len(needed) == count, function


@EVERY
def test_the_reference_gives_arrays_of_the_shapes_that_the_problem_says(operator):
    problem = _example(operator)
    arrays = make_arrays(problem)
    assert set(arrays) == set(operator.inputs) - {"b"}
    for compute in (reference.compute, reference.compute_by_loops):
        found = compute(problem, arrays)
        assert {name: a.shape for name, a in found.items()} == {name: problem.shapes[name] for name in operator.outputs}


@EVERY
def test_factors_are_what_an_operator_is_linear_in(operator):
    spec = operator.spec
    assert set(spec.factors) <= set(operator.inputs) and spec.moved_over in operator.inputs
    problem = _example(operator)
    arrays, others = make_arrays(problem), make_arrays(problem.with_(seed=1))
    for name in spec.factors:
        joint = _run(problem, {**arrays, name: arrays[name] + others[name]})
        apart = _run(problem, arrays) + _run(problem, {**arrays, name: others[name]})
        assert np.allclose(joint, apart) is spec.linear
        assert np.allclose(_run(problem, {**arrays, name: -arrays[name]}), -_run(problem, arrays)) is spec.linear


@EVERY
def test_an_output_is_a_sum_of_as_many_products_as_declared(operator):
    """Ones in, at a window inside: the largest output counts its products, and a mean divides by them."""
    w = None if operator.pools else (4, 6, 3, 2) if operator.spec.transposed else (6, 4, 3, 2)
    problem = _example(operator, w=w, window=Window.of(2, kernel=(3, 2) if operator.pools else None))
    arrays = {name: np.ones_like(a) if name in operator.spec.factors else a for name, a in make_arrays(problem).items()}
    largest = _run(problem, arrays).max()
    if operator.spec.sums_exactly and "indices" not in operator.inputs:
        assert largest == longest_sum(problem)
    else:
        assert largest <= longest_sum(problem)


@EVERY
def test_what_is_selected_is_an_element_of_the_input(operator):
    problem = _example(operator, data="uniform")
    arrays = make_arrays(problem)
    y = _run(problem, arrays)
    chosen = np.isin(y[np.isfinite(y)], arrays[operator.inputs[0]]).all()
    assert bool(chosen) is operator.spec.selects


@POOLS
def test_only_what_divides_depends_on_the_divisor(operator):
    problem = _example(operator, data="uniform")
    window = Window.of(2, stride=(2, 1), padding=((1, 0), (1, 1)), kernel=(3, 2), count_include_pad=False)
    if not operator.spec.divides:
        with pytest.raises(GeometryError, match="has no divisor"):
            problem.with_(window=window)
        return
    other, arrays = problem.with_(window=window), make_arrays(problem)
    assert not np.array_equal(_run(problem, arrays), _run(other, arrays))
    assert other.with_(operator=Operator.max_pool).window.count_include_pad


@EVERY
def test_whole_numbers_give_whole_sums_where_that_is_declared(operator):
    problem = _example(operator)
    y = _run(problem, make_arrays(problem))
    whole = bool(np.array_equal(y[np.isfinite(y)], np.rint(y[np.isfinite(y)])))
    assert whole is operator.spec.sums_exactly


@EVERY
def test_every_input_is_read_but_those_that_need_not_be(operator):
    problem = _example(operator, data="uniform")
    arrays, others = make_arrays(problem), make_arrays(problem.with_(seed=1))
    for name, a in arrays.items():
        changed = np.zeros_like(a) if name == "indices" else others[name]
        same = np.array_equal(_run(problem, arrays), _run(problem, {**arrays, name: changed}))
        assert same is (name in operator.spec.unread), name


@EVERY
def test_data_without_meaning_for_an_operator_is_refused(operator):
    assert ("distinct" in operator.spec.refused_data) is not operator.pools
    assert ("subnormal" in operator.spec.refused_data) is not operator.spec.sums_exactly


@EVERY
def test_gradients_have_the_shape_of_what_they_are_gradients_of(operator):
    problem = _example(operator)
    if operator.spec.takes_bias:
        problem = problem.with_(bias=True)
    passing = {"dy": problem.y, **problem.shapes}
    for gradient in operator.spec.gradients:
        posed = gradient.problem(problem)
        assert posed.output == problem.shapes[gradient.name.removeprefix("d")]
        assert set(gradient.takes) == set(posed.operator.inputs) - {"b"}
        assert {name: posed.shapes[name] for name in gradient.takes} == {
            name: passing[given] for name, given in gradient.takes.items()
        }


@EVERY
def test_gradients_are_the_adjoints_of_what_is_linear(operator):
    problem = _example(operator)
    arrays = make_arrays(problem)
    y = reference.compute(problem, arrays)
    rng = np.random.default_rng(0)
    dy = rng.integers(-3, 3, size=problem.output).astype(np.float64)
    known = {"dy": dy, **arrays, **y}
    for gradient in operator.spec.gradients:
        if gradient.name == "db":
            continue
        posed = gradient.problem(problem)
        found = _run(posed, {name: known[given] for name, given in gradient.takes.items()})
        of = arrays[gradient.name.removeprefix("d")]
        finite = np.where(np.isfinite(y["y"]), y["y"], 0)  # a maximum over padding alone sends nothing back
        np.testing.assert_allclose(np.sum(found * of), np.sum(dy * finite), rtol=1e-12)


@pytest.mark.parametrize("operator", [Operator.conv, Operator.conv_transpose])
def test_whole_numbers_leave_room_for_the_sums_of_the_gradients(operator):
    problem = _example(operator)
    terms = {frozenset(names): most for most, names in list_sums(problem)}
    for gradient in operator.spec.gradients:
        if gradient.name != "db":
            posed = gradient.problem(problem)
            factors = frozenset(gradient.takes[name] for name in posed.operator.spec.factors)
            assert most_terms(posed) <= terms[factors] <= longest_sum(posed) + problem.bias


@EVERY
@settings(max_examples=40, deadline=None, derandomize=True)
@given(data=st.data())
def test_no_sum_reads_more_terms_than_are_counted(operator, data):
    problem = data.draw(strategy.problems(operators=(operator,), regimes=("normal",), largest=4, tails=False))
    ones = {name: a if name == "indices" else np.ones_like(a) for name, a in make_arrays(problem).items()}
    assert np.max(_run(problem, ones), initial=0) <= most_terms(problem) <= longest_sum(problem) + 1


def test_special_data_goes_where_the_window_moves():
    assert Operator.conv_weight_grad.spec.moved_over == "x"
    assert all(one.spec.moved_over == one.inputs[0] for one in Operator if one is not Operator.conv_weight_grad)


@EVERY
def test_derivations_need_the_operator_that_they_name(operator):
    for derivation in operator.spec.derivations:
        problem = _example(operator)
        if operator is Operator.conv_weight_grad:  # by itself for one group
            assert derivation.needs(problem) is None
            problem = problem.with_(w=(6, 4, 3, 2), window=Window.of(2))
        assert derivation.needs(problem).operator == derivation.via


@EVERY
def test_refused_data_is_refused_with_its_reason_and_left_behind_by_a_change_of_operator(operator):
    for data, reason in operator.spec.refused_data.items():
        with pytest.raises(GeometryError, match=f"{operator}: {reason}"):
            _example(operator, data=data)
        for other in Operator:
            if other.pools is operator.pools and data not in other.spec.refused_data:
                assert _example(other, data=data).with_(operator=operator).data == "integer"


def test_fields_that_an_operator_does_not_permit_are_refused():
    for operator in Operator:
        if not operator.spec.takes_bias:
            with pytest.raises(GeometryError, match="bias"):
                _example(operator, bias=True)
        if not operator.spec.transposed:
            with pytest.raises(GeometryError, match="output_padding"):
                _example(operator, output_padding=(0, 0))


def test_a_name_is_as_good_as_an_operator_in_a_change():
    problem = _example(Operator.conv)
    assert problem.with_(operator="conv_input_grad") == problem.with_(operator=Operator.conv_input_grad)
    with pytest.raises(UsageError, match="operator: got 'konv'"):
        problem.with_(operator="konv")


@EVERY
def test_a_family_is_answered_for_by_its_first_operator(operator):
    first = representative(operator)
    assert first.spec.family == operator.spec.family and first.pools is operator.pools
    assert conditions_for(first) == conditions_for(operator)
    assert list(Operator).index(first) <= list(Operator).index(operator)


def test_a_spec_has_no_field_that_is_not_described():
    fields = set(OperatorSpec.__dataclass_fields__)
    described = {name.strip() for line in OperatorSpec.__doc__.splitlines() if ":" in line
                 for name in line.partition(":")[0].split(",")}  # fmt: skip
    assert fields <= described
