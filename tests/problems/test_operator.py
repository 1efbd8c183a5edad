"""An operator is text: in tables, files and comparisons."""

import copy
import json
import pickle

import msgspec
import pytest

from harness import Operator

NAMES = [
    "conv", "conv_input_grad", "conv_weight_grad", "conv_bias_grad", "conv_transpose", "max_pool", "max_pool_grad",
    "avg_pool", "avg_pool_grad",
]  # fmt: skip


def test_operators_come_in_the_order_of_their_listing():
    assert [operator.value for operator in Operator] == NAMES == list(Operator.__members__)


@pytest.mark.parametrize("name", NAMES)
def test_an_operator_behaves_as_its_name(name):
    operator = Operator(name)
    assert operator is Operator[name] is getattr(Operator, name)
    assert operator == name and hash(operator) == hash(operator) and {operator: 1}[Operator(name)] == 1
    assert str(operator) == f"{operator}" == name and repr(operator) == f"<Operator.{name}: '{name}'>"
    assert isinstance(operator, str) and operator.startswith(name[:3])


@pytest.mark.parametrize("name", NAMES)
def test_an_operator_survives_being_written_and_copied(name):
    operator = Operator(name)
    assert json.dumps(operator) == f'"{name}"' == msgspec.json.encode(operator).decode()
    assert msgspec.json.decode(f'"{name}"'.encode(), type=Operator) is operator
    assert msgspec.convert(name, Operator) is operator
    assert pickle.loads(pickle.dumps(operator)) is copy.deepcopy(operator) is operator


def test_a_name_that_no_operator_has_is_refused():
    with pytest.raises(ValueError, match="'konv' is not a valid Operator"):
        Operator("konv")
