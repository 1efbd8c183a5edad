import subprocess
import sys
from collections import Counter
from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest

from harness import BackendUnderTest, Numerics, Operator, UsageError, compare_arrays, parse_line
from harness.laws.error_bounds import magnitude, rounding_bound, sum_bound
from harness.problems import reference
from suites import onnx, onnx_cases
from suites.geometries import correctness_problems
from suites.onnx import check_case, is_case, onnx_case, onnx_problems
from suites.onnx_cases import (
    NOT_INSTALLED,
    ONNX_OPERATORS,
    WANTED,
    Node,
    load_cases,
    make_case,
    place_per_map,
    read_array,
)
from suites.speed import speed_problems
from tests.asking import ask
from tests.conftest import ROOT, leaves_out_slow
from tests.faulty import forward, pooling
from tests.faulty.right import Right

STORED = 46  # cases that lie in files of the package; the outputs of the others take seconds to compute


@pytest.fixture(scope="module", autouse=True)
def wanted(pytestconfig):
    """Number of cases; without slow tests, the ones that lie in files are all there are."""
    load_cases.cache_clear()
    with pytest.MonkeyPatch.context() as patch:
        if leaves_out_slow(pytestconfig):
            patch.setattr(onnx_cases, "read_built", lambda: iter(()))
            for module in (onnx_cases, onnx):
                patch.setattr(module, "WANTED", STORED)
        yield onnx_cases.WANTED
    load_cases.cache_clear()


def _outcomes(backend, cases):
    """Names of the cases by outcome."""
    found = {}
    for case in cases:
        outcome = ask(backend, onnx_case, case.problem.line).outcome
        found.setdefault(outcome, []).append(case.name)
    return found


def _case(name):
    return next(case for case in load_cases() if case.name == name)


def _with(case, output, value):
    return replace(case, outputs={**case.outputs, output: value})


# --- the cases ---------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_every_case_is_there():
    cases = load_cases()
    assert Counter(case.kind for case in cases) == {"node": 60, "pytorch-converted": 43, "pytorch-operator": 3}
    assert Counter(case.problem.operator.value for case in cases) == {
        "conv": 33, "conv_transpose": 14, "max_pool": 30, "avg_pool": 29,
    }  # fmt: skip
    assert len({case.name for case in cases}) == WANTED == 106
    assert sum("indices" in case.outputs for case in cases) == 2


def test_cases_are_numbered_in_the_order_of_names(wanted):
    cases = load_cases()
    assert [case.name for case in cases] == sorted(case.name for case in cases)
    assert [case.problem.seed for case in cases] == list(range(1, wanted + 1))
    assert [item.name for item in onnx_problems()] == [f"onnx/{case.name}" for case in cases]
    assert all(parse_line(case.problem.line) == case.problem for case in cases)


def test_arrays_have_the_shapes_of_their_problem():
    for case in load_cases():
        shapes = case.problem.shapes
        assert {**case.inputs, **case.outputs}.keys() <= shapes.keys(), case.name
        assert all(a.shape == shapes[name] for name, a in (*case.inputs.items(), *case.outputs.items())), case.name


def test_the_reference_agrees_with_every_case():
    """Within what the package's own float32 sums may be off, and no more."""
    wrong = []
    for case in load_cases():
        problem, got = case.problem, reference.compute(case.problem, case.inputs)
        for name, wanted in case.outputs.items():
            allowed = 0.0
            if problem.operator is not Operator.max_pool:
                size = magnitude(problem, case.inputs)
                allowed = (
                    sum_bound(problem, Numerics(), case.inputs, size) + rounding_bound(problem, wanted) + case.slack
                )
            if not compare_arrays(got[name], wanted, allowed, what=name).passed:
                wrong.append(case.name)
    assert not wrong


# --- the law -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["numpy-direct", "torch"])
def test_backends_pass_every_case(registry, name, wanted):
    assert {outcome: len(names) for outcome, names in _outcomes(registry.backend(name), load_cases()).items()} == {
        "passed": wanted
    }


def test_every_comparison_fails_where_one_element_is_off_by_a_thousandth():
    blind = []
    for case in load_cases():
        subject = BackendUnderTest(Right(), case.problem)
        off = np.array(case.outputs["y"])
        off.flat[-1] += 1e-3 * max(1.0, abs(off.flat[-1]))
        if check_case(subject, _with(case, "y", off)).passed:
            blind.append(case.name)
    assert not blind


@pytest.mark.parametrize(("share", "passes"), [(0.9, True), (1.1, False)])
def test_the_bound_is_granted_to_both_sides(share, passes):
    case = _case("test_Conv2d_no_bias")
    exact, size = reference.compute(case.problem, case.inputs)["y"], magnitude(case.problem, case.inputs)
    once = sum_bound(case.problem, Numerics(), case.inputs, size) + rounding_bound(case.problem, exact)
    deviation = check_case(BackendUnderTest(Right(), case.problem), _with(case, "y", exact + share * 2 * once))
    assert deviation.passed is passes


@pytest.mark.slow
def test_a_turned_kernel_passes_the_built_cases_and_fails_the_converted_ones():
    cases = [case for case in load_cases() if case.problem.operator is Operator.conv]
    built, converted = ([case for case in cases if (case.kind == "node") is node] for node in (True, False))
    assert _outcomes(forward.Flipped(), built).keys() == {"passed"}  # their kernels are all ones
    found = _outcomes(forward.Flipped(), converted)  # except maps of one position, and one whose x is all ones
    assert len(found["failed"]) == 24
    assert found["passed"] == ["test_Conv1d_pad1size1", "test_Conv1d_pad2size1", "test_operator_conv"]


@pytest.mark.parametrize(
    ("fault", "outcomes"),
    [
        (forward.BiasByImage, {"passed", "failed"}),
        (forward.GroupsReversed, {"passed", "failed"}),
        (forward.Rounded, {"passed", "failed"}),
        (pooling.MaxPadsZero, {"passed", "failed"}),
        pytest.param(pooling.MeanCountsOverhang, {"passed", "failed"}, marks=pytest.mark.slow),
        (forward.StrideSwapped, {"passed"}),  # in every case the strides of the axes are the same
    ],
)
def test_what_the_cases_see_and_what_they_do_not(fault, outcomes):
    assert _outcomes(fault(), load_cases()).keys() == outcomes


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pads", "strides"])
def test_indices_off_by_one_are_caught(name):
    case = _case(f"test_maxpool_with_argmax_2d_precomputed_{name}")
    subject = BackendUnderTest(Right(), case.problem)
    assert check_case(subject, case).passed
    told = check_case(subject, _with(case, "indices", case.outputs["indices"] + 1))
    assert not told.passed and told.what == "indices"


@pytest.mark.slow
def test_indices_of_the_padded_input_are_caught():
    assert _outcomes(pooling.IndicesOfPadded(), load_cases())["failed"] == [
        "test_maxpool_with_argmax_2d_precomputed_pads"
    ]


def test_the_law_applies_to_its_cases_alone(wanted):
    assert all(is_case(case.problem) for case in load_cases())
    problem = _case("test_Conv2d_no_bias").problem
    for other in (
        problem.with_(seed=0), problem.with_(seed=problem.seed + 1), problem.with_(seed=wanted + 1),
        problem.with_(dtype="float64"), problem.with_(layout="channels-last"),
    ):  # fmt: skip
        assert not is_case(other)
    assert not any(onnx_case.applies(item.problem) for item in (*correctness_problems(), *speed_problems()))


# --- the adapter -------------------------------------------------------------------------------------------------


def test_indices_over_the_whole_tensor_become_places_in_a_map():
    x = (2, 3, 4, 5)
    places = np.random.default_rng(0).integers(20, size=(2, 3, 2, 2))
    maps = np.arange(6).reshape(2, 3, 1, 1)
    assert np.array_equal(place_per_map(places + 20 * maps, x, by_column=False), places)
    rows, columns = divmod(places, 5)
    assert np.array_equal(place_per_map(columns * 4 + rows + 20 * maps, x, by_column=True), places)


def test_whole_numbers_become_float32_where_it_holds_them():
    assert read_array(np.array([-128, 127], dtype=np.int8)).dtype == np.float32
    with pytest.raises(ValueError, match="int32 values that float32 does not hold"):
        read_array(np.array([2**24 + 1], dtype=np.int32))


def _node(operator, **attributes):
    w = np.ones((1, 1, 3), dtype=np.float32) if operator.startswith("Conv") else None
    x = np.ones((1, 1, 7), dtype=np.float32)
    return Node(kind="node", name="made", operator=operator, attributes=attributes, inputs=[x, w], outputs=[x])


@pytest.mark.parametrize(
    ("operator", "attributes", "line"),
    [
        ("Conv", {"auto_pad": b"VALID"}, "w=1x1x3"),
        ("Conv", {"auto_pad": b"SAME_UPPER", "strides": [2], "dilations": [2]}, "w=1x1x3 stride=2 pad=2 dilation=2"),
        ("AveragePool", {"auto_pad": b"SAME_UPPER", "kernel_shape": [4]}, "kernel=4 pad=1:2 exclude_pad"),
        ("MaxPool", {"auto_pad": b"SAME_LOWER", "kernel_shape": [4]}, "kernel=4 pad=2:1"),
        ("ConvTranspose", {"output_shape": [8]}, "w=1x1x3 pad=1:0"),
        ("ConvTranspose", {"output_shape": [1, 1, 16], "strides": [2]}, "w=1x1x3 stride=2 output_padding=1"),
        ("ConvTranspose", {"auto_pad": b"SAME_UPPER", "strides": [2]}, "w=1x1x3 stride=2 pad=0:1"),
    ],
)
def test_padding_is_made_explicit(operator, attributes, line):
    wanted = parse_line(f"{ONNX_OPERATORS[operator]} x=1x1x7 {line} data=integer seed=1")
    assert make_case(_node(operator, **attributes), 1).problem == wanted


@pytest.mark.parametrize(
    ("attributes", "told"),
    [({"output_shape": [10]}, "made: .*output_padding 1, wanted 0 to 0"), ({"new": 1}, "made: attributes new")],
)
def test_what_cannot_be_said_is_told_with_its_case(attributes, told):
    with pytest.raises(ValueError, match=told):
        make_case(_node("ConvTranspose", **attributes), 1)


# --- the package -------------------------------------------------------------------------------------------------


@pytest.fixture
def afresh():
    load_cases.cache_clear()
    yield
    load_cases.cache_clear()


@pytest.mark.usefixtures("afresh")
def test_without_the_package_the_suite_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(UsageError) as told:
        onnx_problems()
    assert str(told.value) == NOT_INSTALLED


@pytest.mark.usefixtures("afresh")
def test_another_number_of_cases_is_told_with_the_version(monkeypatch, wanted):
    import onnx

    monkeypatch.setattr(onnx_cases, "read_stored", lambda: iter(()))
    said = f"onnx {onnx.__version__} has {wanted - STORED} such cases, wanted {wanted} as in onnx 1.23"
    with pytest.raises(UsageError, match=said):
        onnx_problems()


@pytest.mark.usefixtures("afresh")
def test_reading_the_cases_leaves_the_global_generator_alone(monkeypatch):
    def seed_and_import(name):  # what the package does where a module is new
        np.random.seed(0)
        return import_module(name)

    monkeypatch.setattr(onnx_cases, "import_module", seed_and_import)
    np.random.seed(5)
    wanted = np.random.random()
    np.random.seed(5)
    load_cases()
    assert np.random.random() == wanted


def test_reading_all_cases_pools_nothing_until_an_output_is_read():
    code = """
from onnx.reference.ops import op_pool_common
own, calls = op_pool_common.pool, []
op_pool_common.pool = lambda *some, **more: (calls.append(some), own(*some, **more))[1]
watched = op_pool_common.pool
from suites.onnx_cases import load_cases
cases = load_cases()
print(len(cases), len(calls))
case = next(case for case in cases if case.name == "test_maxpool_1d_default")
first = case.outputs["y"]
print(case.outputs["y"] is first, first.shape, len(calls))
from onnx.backend.test.case.node import averagepool, maxpool
print(averagepool.pool is maxpool.pool is op_pool_common.pool is watched)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["106 0", "True (1, 3, 31) 1", "True"]


def test_loading_the_plugin_does_not_import_the_package():
    code = "import sys; from harness.plugins.manager import load_plugins; found = load_plugins(('suites.onnx',))"
    code += "; print(found.suites['onnx'].laws, 'onnx' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "('onnx-case',) False"
