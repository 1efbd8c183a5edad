"""Cost and problems of a graph, counted by hand."""

from harness import parse_line
from harness.networks.architecture import Architecture
from harness.networks.problem import NetworkProblem


def _draw(net):
    x = net.conv("a", "input", 2, 3)  # 6x6 -> 4x4
    y = net.conv("b", x, 2, 1)
    z = net.conv("c", y, 2, 1)
    net.add("sum", x, z)


SMALL = Architecture(name="small", description="", input=(1, 6, 6), build=_draw, small=6)


def _network(work="step", **more):
    return NetworkProblem(architecture=SMALL, work=work, **more).network


def test_equal_layers_are_counted_together():
    forward, step = (_network().layers(work) for work in ("forward", "step"))
    assert dict(forward) == {
        parse_line("conv x=1x1x6x6 w=2x1x3x3 bias"): 1,
        parse_line("conv x=1x2x4x4 w=2x2x1x1 bias"): 2,
    }
    assert step[parse_line("conv_input_grad x=1x2x4x4 w=2x2x1x1")] == 2
    assert sum(step.values()) == 3 * 4  # each layer, and its three gradients


def test_activations_are_held_until_their_last_reader():
    # At the end of c: the input is gone, a waits for the sum, b is read, c is made: three maps of 2x4x4 float32.
    assert _network().activation_bytes("forward") == 4 * 3 * 32
    assert _network().activation_bytes("step") == 4 * (36 + 4 * 32)
    assert _network(dtype="float64", n=2).activation_bytes("step") == 2 * 8 * (36 + 4 * 32)


def test_parameters_are_counted_with_fixed_ones_where_asked():
    def draw(net):
        net.norm("norm", net.conv("a", "input", 3, 1, bias=False))

    normed = Architecture(name="normed", description="", input=(2, 4), build=draw, small=4)
    network = NetworkProblem(architecture=normed, work="step").network
    assert network.count() == 3 * 2 + 3 + 3
    assert network.count(statistics=True) == 3 * 2 + 4 * 3


def test_a_transposed_convolution_has_a_convolution_for_its_gradient():
    def draw(net):
        net.conv_transpose("up", "input", 6, 3, stride=2, output_padding=1)

    up = Architecture(name="up", description="", input=(4, 5, 5), build=draw, small=5)
    node = NetworkProblem(architecture=up, work="step").network.nodes[0]
    found = {name: problem.line for name, problem in node.gradients.items()}
    assert found == {
        "dx": "conv x=1x6x12x12 w=4x6x3x3 stride=2,2",
        "dw": "conv_weight_grad x=1x6x12x12 w=4x6x3x3 stride=2,2",
        "db": "conv_bias_grad x=1x1x12x12 w=6x1x1x1",
    }
    assert node.gradients["dx"].y == node.problem.x
