"""LeNet-5 (LeCun, Bottou, Bengio and Haffner 1998, Gradient-Based Learning Applied to Document Recognition, fig. 2)."""

from __future__ import annotations

from harness import Architecture, NetworkBuilder
from harness.networks import INPUT


def _draw_lenet5(net: NetworkBuilder) -> None:
    """C1 to F6 and the output, with C3 dense, pooling by a plain mean and tanh for the paper's scaled one.

    C5 is a convolution, as the paper insists: on a larger picture it would give a larger map.
    """
    x = net.tanh(net.conv("C1", INPUT, 6, 5))
    x = net.avg_pool("S2", x, 2)
    x = net.tanh(net.conv("C3", x, 16, 5))
    x = net.avg_pool("S4", x, 2)
    x = net.tanh(net.conv("C5", x, 120, 5))
    x = net.tanh(net.dense("F6", x, 84))
    net.dense("output", x, 10)


LENET5 = Architecture(
    name="lenet5",
    description="LeNet-5 with C3 dense, tanh and mean pooling (LeCun et al. 1998, fig. 2)",
    input=(1, 32, 32),
    build=_draw_lenet5,
    small=32,
    published=61_706,
)
