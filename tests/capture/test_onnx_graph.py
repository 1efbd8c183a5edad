"""ONNX graphs built by the tests, one for each feature of a graph."""

import builtins

import pytest
from onnx import TensorProto, helper

from harness.capture.onnx_graph import capture_onnx
from harness.capture.onnx_window import make_onnx_window
from harness.capture.workload import settle_divisor
from harness.errors import UsageError
from suites import onnx_cases

FLOAT = TensorProto.FLOAT


def make_node(kind, inputs, output, name="", domain="", **attributes):
    return helper.make_node(kind, inputs, [output], name=name, domain=domain, **attributes)


@pytest.fixture
def save(tmp_path):
    """Write a graph to a file: nodes, inputs and weights by name, and other declared shapes."""

    def write(nodes, inputs, weights=(), stated=(), outputs=None, dtype=FLOAT, name="model.onnx"):
        graph = helper.make_graph(
            nodes, "graph",
            [helper.make_tensor_value_info(key, dtype, shape) for key, shape in inputs.items()],
            [helper.make_tensor_value_info(key, dtype, None) for key in outputs or [nodes[-1].output[0]]],
            [TensorProto(name=key, data_type=dtype, dims=shape, data_location=TensorProto.EXTERNAL)
             for key, shape in dict(weights).items()],
            value_info=[helper.make_tensor_value_info(key, dtype, shape) for key, shape in dict(stated).items()],
        )  # fmt: skip
        opsets = [helper.make_opsetid("", 22), helper.make_opsetid("mine", 1)]
        path = tmp_path / name
        path.write_bytes(helper.make_model(graph, opset_imports=opsets).SerializeToString())
        return str(path)

    return write


def lines(workload):
    return {named.name: named.problem.line for named in workload.problems}


def reasons(workload):
    return {item.name: item.reason for item in workload.left_out}


@pytest.fixture
def network(save):
    """Build a small network with auto_pad, a dynamic dimension, a missing shape and unsupported operators."""
    nodes = [
        make_node("Conv", ["x", "w1", "b1"], "a", "first", auto_pad="SAME_UPPER", strides=[2, 2]),
        make_node("Relu", ["a"], "b", "relu"),
        make_node("MaxPool", ["b"], "c", "pool", kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_LOWER"),
        make_node("Conv", ["c", "w2"], "d", "second", group=2, pads=[0, 1, 2, 1], dilations=[1, 2]),
        make_node("LpPool", ["d"], "e", "norm", kernel_shape=[2, 2]),
        make_node("Mystery", ["d"], "f", "mystery", domain="mine"),
        make_node("Conv", ["f", "w2"], "g", "after"),
        make_node("GlobalAveragePool", ["d"], "h", "mean"),
    ]
    weights = {"w1": (4, 3, 3, 3), "b1": (4,), "w2": (4, 2, 3, 3)}
    return save(nodes, {"x": ["N", 3, 18, 17]}, weights, outputs=["e", "g", "h"])


def test_a_network_is_read_and_what_cannot_be_taken_is_listed(network):
    found = capture_onnx(network, dims=["N=2"])
    assert lines(found) == {
        "first": "conv x=2x3x18x17 w=4x3x3x3 bias stride=2,2 pad=0:1,1",
        "pool": "max_pool x=2x4x9x9 kernel=3x3 stride=2,2 pad=1,1",
        "second": "conv x=2x4x5x5 w=4x2x3x3 pad=0:2,1 dilation=1,2 groups=2",
        "mean": "avg_pool x=2x4x5x3 kernel=5x3",
    }
    assert reasons(found) == {
        "norm": "no operator of the harness",
        "after": "the shape of 'f' is missing, and cannot be inferred",
    }


def test_a_dynamic_dimension_without_a_size_is_listed(network):
    found = capture_onnx(network)
    assert not found.problems
    assert reasons(found)["first"] == "the shape of 'x' is dynamic (Nx3x18x17); give its sizes, such as --dim N=SIZE"
    assert set(reasons(found)) == {"first", "pool", "second", "norm", "after", "mean"}


def test_shapes_of_inputs_may_be_given_whole(network):
    assert lines(capture_onnx(network, inputs=["5x3x18x17"])) == {
        name: line.replace("x=2x", "x=5x") for name, line in lines(capture_onnx(network, dims=["N=2"])).items()
    }


def test_a_size_without_a_name_is_given_with_the_input(save):
    path = save([make_node("MaxPool", ["x"], "y", kernel_shape=[2])], {"x": [None, 3, 8]})
    assert reasons(capture_onnx(path))["MaxPool-1"].endswith(
        "is dynamic (?x3x8); give its sizes, such as --input SHAPE"
    )
    assert lines(capture_onnx(path, inputs=["7x3x8"])) == {"MaxPool-1": "max_pool x=7x3x8 kernel=2"}


def test_gradients_are_added_where_they_are_asked_for(network):
    found = [(n.name, n.problem.operator.value) for n in capture_onnx(network, dims=["N=2"], backward=True).problems]
    assert found == [
        ("first", "conv"), ("first", "conv_weight_grad"), ("first", "conv_bias_grad"),
        ("pool", "max_pool"), ("pool", "max_pool_grad"),
        ("second", "conv"), ("second", "conv_input_grad"), ("second", "conv_weight_grad"),
        ("mean", "avg_pool"), ("mean", "avg_pool_grad"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "x", "w", "attributes", "line"),
    [
        ("Conv", (1, 2, 9), (4, 2, 3), {"auto_pad": "VALID", "pads": [1, 1]}, "conv x=1x2x9 w=4x2x3"),
        ("Conv", (1, 2, 6, 6, 6), (4, 2, 1, 2, 3), {}, "conv x=1x2x6x6x6 w=4x2x1x2x3"),
        ("ConvTranspose", (1, 4, 5), (4, 2, 3), {"strides": [2], "output_padding": [1], "pads": [1, 1]},
         "conv_transpose x=1x4x5 w=4x2x3 stride=2 pad=1 output_padding=1"),
        ("ConvTranspose", (1, 4, 5), (4, 2, 3), {"strides": [2], "auto_pad": "SAME_UPPER"},
         "conv_transpose x=1x4x5 w=4x2x3 stride=2 pad=0:1"),
        ("ConvTranspose", (1, 4, 5), (4, 2, 3), {"strides": [2], "output_shape": [12]},
         "conv_transpose x=1x4x5 w=4x2x3 stride=2 output_padding=1"),
        ("MaxPool", (1, 4, 9), None, {"kernel_shape": [3], "dilations": [2], "ceil_mode": 1, "strides": [3]},
         "max_pool x=1x4x9 kernel=3 stride=3 dilation=2 ceil"),
        ("AveragePool", (1, 4, 9), None, {"kernel_shape": [3], "pads": [1, 0]},
         "avg_pool x=1x4x9 kernel=3 pad=1:0 exclude_pad"),
        ("AveragePool", (1, 4, 9), None, {"kernel_shape": [3], "pads": [1, 0], "count_include_pad": 1},
         "avg_pool x=1x4x9 kernel=3 pad=1:0"),
        ("AveragePool", (1, 4, 9), None, {"kernel_shape": [3]}, "avg_pool x=1x4x9 kernel=3"),
        ("GlobalMaxPool", (1, 4, 5, 7), None, {}, "max_pool x=1x4x5x7 kernel=5x7"),
    ],
)  # fmt: skip
def test_attributes_become_a_window(save, kind, x, w, attributes, line):
    path = save(
        [make_node(kind, ["x", "w"] if w else ["x"], "y", "one", **attributes)], {"x": x}, {"w": w} if w else {}
    )
    found = capture_onnx(path)
    assert lines(found) == {"one": line}, reasons(found)


@pytest.mark.parametrize(
    ("node", "reason"),
    [
        (make_node("MaxPool", ["x"], "y", "n", kernel_shape=[2], storage_order=1), "storage_order=1"),
        (make_node("MaxRoiPool", ["x", "r"], "y", "n", pooled_shape=[2, 2]), "no operator of the harness"),
        (make_node("Conv", ["x", "w"], "y", "n", domain="mine"), "no operator of the harness (domain mine)"),
        (make_node("FusedConv", ["x", "w"], "y", "n", domain="mine"), "no operator of the harness (domain mine)"),
        (make_node("MatMul", ["x", "x"], "y", "n"), "a matrix product"),
        (make_node("Conv", ["x", "w"], "y", "n", strides=[1, 1]), "are not for 1 axes"),
        (make_node("Conv", ["x", "w"], "y", "n", auto_pad="SAME"), "auto_pad SAME is not known"),
        (make_node("Conv", ["x", "w"], "y", "n", strides=[0]), "got stride 0, wanted at least 1"),
        (make_node("Conv", ["x", "w"], "y", "n", dilations=[9]), "is larger than the padded input"),
        (make_node("Conv", ["x", "z"], "y", "n"), "the shape of 'z' is missing"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_problem_is_listed_with_the_reason(save, node, reason):
    good = make_node("MaxPool", ["x"], "p", "good", kernel_shape=[2])
    found = capture_onnx(save([good, node], {"x": (1, 2, 9)}, {"w": (4, 2, 3)}, outputs=["p", "y"]))
    assert lines(found) == {"good": "max_pool x=1x2x9 kernel=2"}
    assert list(reasons(found)) == ["n"]
    assert reason in reasons(found)["n"]


def test_other_dtypes_are_listed_and_those_of_the_harness_taken(save):
    node = make_node("MaxPool", ["x"], "y", "n", kernel_shape=[2])
    short = capture_onnx(save([node], {"x": (1, 2, 9)}, dtype=TensorProto.FLOAT16))
    assert lines(short) == {"n": "max_pool x=1x2x9 kernel=2 dtype=float16"}
    assert "dtype is number 3" in reasons(capture_onnx(save([node], {"x": (1, 2, 9)}, dtype=TensorProto.INT8)))["n"]


def test_what_runs_inside_of_a_branch_is_listed(save):
    inner = make_node("MaxPool", ["x"], "i", "inner", kernel_shape=[2])
    branch = helper.make_graph([inner], "branch", [], [helper.make_tensor_value_info("i", FLOAT, None)])
    node = make_node("If", ["when"], "y", "choice", then_branch=branch, else_branch=branch)
    found = capture_onnx(save([node], {"x": (1, 2, 9), "when": ()}))
    assert [(item.name, item.count) for item in found.left_out] == [("inner", 2)]
    assert "inside of If" in reasons(found)["inner"]


def test_local_functions_are_looked_into(save, tmp_path):
    import onnx

    path = save([make_node("Twice", ["x"], "y", "call", domain="mine")], {"x": (1, 2, 9)})
    model = onnx.load(path)
    body = [make_node("MaxPool", ["a"], "b", kernel_shape=[2]), make_node("MaxPool", ["b"], "c", kernel_shape=[2])]
    model.functions.append(
        helper.make_function("mine", "Twice", ["a"], ["c"], body, [helper.make_opsetid("", 22)])
    )  # fmt: skip
    (tmp_path / "model.onnx").write_bytes(model.SerializeToString())
    assert [n.problem.line for n in capture_onnx(path).problems] == [
        "max_pool x=1x2x9 kernel=2", "max_pool x=1x2x8 kernel=2",
    ]  # fmt: skip


def test_equal_nodes_count_together(save):
    nodes = [make_node("Conv", [a, "w"], b, a, pads=[1, 1]) for a, b in ("xa", "ab", "bc")]
    found = capture_onnx(save(nodes, {"x": (1, 2, 9)}, {"w": (2, 2, 3)}))
    assert [(n.name, n.multiplicity) for n in found.problems] == [("x", 3)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dims": ["M=1"]}, "dim: got 'M', wanted one of N"),
        ({"dims": ["N"]}, "dim: got 'N', wanted a name and a size"),
        ({"dims": ["N=-1"]}, "dim: got 'N=-1', wanted a name and a size"),
        ({"inputs": ["1x3x18"]}, "input: got 1x3x18 for 'x', wanted a shape that fits Nx3x18x17"),
        ({"inputs": ["1x4x18x17"]}, "wanted a shape that fits Nx3x18x17"),
        ({"inputs": ["1xCx18x17"]}, "input: got '1xCx18x17', wanted a shape"),
        ({"inputs": ["1", "2"]}, "input: got 2 shapes, wanted at most 1, for x"),
    ],
)
def test_wrong_sizes_are_said(network, options, message):
    with pytest.raises(UsageError, match=message):
        capture_onnx(network, **options)


@pytest.mark.parametrize("content", [b"", b"not a model at all", b"\x08\x07", b"\xff" * 40])
def test_a_file_that_is_none_is_said(tmp_path, content):
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(UsageError, match="which is not an ONNX file, wanted an ONNX model"):
        capture_onnx(str(path))
    with pytest.raises(UsageError, match="No such file or directory"):
        capture_onnx(str(tmp_path / "none.onnx"))


def test_a_missing_onnx_is_said(network, monkeypatch):
    real = builtins.__import__

    def without(name, *rest, **more):
        if name == "onnx":
            raise ImportError("No module named 'onnx'")
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UsageError, match=r"onnx is not installed, .*pip install 'conv-harness\[onnx\]'"):
        capture_onnx(network)


@pytest.mark.slow
def test_windows_are_those_of_every_case_of_the_onnx_package():
    nodes = sorted((*onnx_cases.read_built(), *onnx_cases.read_stored()), key=lambda node: node.name)
    problems = [case.problem for case in onnx_cases.load_cases()]
    assert len(nodes) == len(problems)
    for node, problem in zip(nodes, problems, strict=True):
        window, extra = make_onnx_window(node.operator, node.attributes, problem.x[2:], problem.w)
        assert window == settle_divisor(problem.window), node.name
        assert extra == problem.output_padding, node.name
