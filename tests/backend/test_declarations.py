"""Invalid declarations of a backend, names that are refused as misspelt, and names that are left alone."""

import pytest

import harness
from harness import Backend, UsageError
from harness.backend.declarations import check_backend
from harness.backend.spelling import find_meant
from harness.problems.operator import Operator
from tests.faulty.right import Right

OPERATORS = tuple(operator.value for operator in Operator)


def _make(**members):
    """A backend with `conv` and these members of its class."""
    return type("Mine", (Backend,), {"name": "mine", "conv": lambda self, x, w, b, window: x, **members})()


def _method(self, *arguments):
    return arguments


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("conv_input_gradient", "conv_input_grad"), ("convInputGrad", "conv_input_grad"),
        ("conv_backward_input", "conv_input_grad"), ("input_grad", "conv_input_grad"),
        ("conv_grad", "conv_input_grad"), ("conv_inptu_grad", "conv_input_grad"),
        ("conv_weights_grad", "conv_weight_grad"), ("conv_grad_weight", "conv_weight_grad"),
        ("conv_filter_grad", "conv_weight_grad"), ("conv_bias_gradient", "conv_bias_grad"),
        ("conv_transposed", "conv_transpose"), ("conv_transpose2d", "conv_transpose"), ("avgpool", "avg_pool"),
        ("mean_pool", "avg_pool"), ("average_pooling", "avg_pool"), ("max_pool_gradient", "max_pool_grad"),
        ("max_pool_backward", "max_pool_grad"), ("mx_pool", "max_pool"), ("MaxPool2d", "max_pool"),
        ("support", "supports"), ("synchronise", "synchronize"), ("work_space", "workspace"),
        ("to_devices", "to_device"), ("numeric_for", "numerics_for"), ("setThreads", "set_threads"),
    ],
)  # fmt: skip
def test_a_name_that_is_close_to_an_absent_one_is_refused_with_it(name, meant):
    with pytest.raises(UsageError, match=f"backend 'mine' has {name}, which is not .*, wanted {meant}; rename it"):
        check_backend(_make(**{name: _method}))


@pytest.mark.parametrize(
    "name",
    [
        "conv_complex", "conv2d", "convolve", "conv_forward", "min_pool", "sum_pool", "lp_pool", "max_unpool", "pool",
        "get_threads", "from_device", "on_device", "plan", "key", "load", "spectrum", "prepare_conv", "workspace_for",
        "place", "memory", "works", "work_of", "device_bytes", "dense", "transform", "_conv_input_gradient",
    ],
)  # fmt: skip
def test_a_backend_keeps_its_own_methods(name):
    check_backend(_make(**{name: _method}))


def test_a_helper_beside_the_operator_is_the_backends_own():
    check_backend(_make(conv_input_grad=_method, conv_input_gradient=_method, input_grad=_method))
    check_backend(_make(conv_input_grad=_method, conv_grad=_method))
    check_backend(_make(supports=lambda self, problem: None, support=_method))
    with pytest.raises(UsageError, match="wanted conv_weight_grad"):
        check_backend(_make(conv_input_grad=_method, conv_weights_grad=_method))


def test_every_one_letter_slip_in_an_operator_is_found():
    for operator in OPERATORS[1:]:
        for at in range(len(operator)):
            if operator[at] == "_":
                continue
            for slip in (operator[:at] + operator[at + 1 :], operator[:at] + "q" + operator[at + 1 :]):
                assert find_meant(slip, OPERATORS, OPERATORS) == operator, slip


def test_every_backend_here_is_left_alone(registry):
    assert len(registry.backends) > 100
    for backend in registry.backends.values():
        check_backend(backend)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("axes", 2, "axes: got 2, wanted a tuple of numbers of spatial axes"),
        ("axes", (), "axes: got (), wanted"),
        ("axes", (4,), "axes: got (4,), wanted"),
        ("axes", (True,), "axes: got (True,), wanted"),
        ("dtypes", "float32", "dtypes: got 'float32', wanted a tuple of dtypes"),
        ("dtypes", ("flaot32",), "got 'flaot32', wanted one of bfloat16, float16, float32, float64; did you mean"),
        ("dtypes", (), "dtypes: got (), wanted"),
        ("grouped", "no", "grouped: got 'no', wanted True or False"),
        ("device", "", "device: got '', wanted the name of a device"),
        ("clock", "gpu", "got 'gpu', wanted one of cuda, host"),
        ("rate", 0, "rate: got 0, wanted operations per second, above 0"),
        ("rate", float("nan"), "rate: got nan, wanted"),
        ("rate", "1e9", "rate: got '1e9', wanted"),
        ("numerics", {"algorithm": "fft"}, "numerics: got {'algorithm': 'fft'}, wanted a harness.Numerics"),
        ("takes_complex", 1, "takes_complex: got 1, wanted True or False"),
        ("instruction_sets", "onednn", "instruction_sets: got 'onednn', wanted a tuple of names of libraries"),
        ("instruction_sets", ("one-dnn",), "got 'one-dnn', wanted one of"),
        ("listed", None, "listed: got None, wanted True or False"),
        ("workspace", {}, "workspace: got {}, wanted a method"),
        ("set_threads", 2, "set_threads: got 2, wanted a method"),
        ("dtype", ("float32",), "has dtype, which is not a declaration and is never read, wanted dtypes"),
        ("axis", (2,), None),
    ],
)
def test_a_declaration_of_a_wrong_type_or_value_is_refused(name, value, words):
    backend = _make(**{name: value})
    if words is None:
        check_backend(backend)
        return
    with pytest.raises(UsageError) as caught:
        check_backend(backend)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_lists_do_for_tuples():
    check_backend(_make(axes=[1, 2], dtypes=["float32"]))


def test_a_right_backend_passes():
    check_backend(Right())
    assert harness.Backend is Backend
