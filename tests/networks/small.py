"""Small networks that contain every operator and every element-wise operation."""

from harness.networks.architecture import Architecture


def draw_smooth(net, K):
    """Draw convolutions, average pooling and dense layers with smooth functions between them."""
    x = net.tanh(net.conv("first", "input", 4, 3, pad=1, groups=1))
    x = net.avg_pool("mean", x, 2)
    x = net.sigmoid(net.conv("second", x, 6, 3, groups=2, stride=2, pad=((1, 0), (0, 1))))
    for number in range(K):
        x = net.dense(f"dense{number}", x, 5)


def draw_branched(net):
    """Draw added and concatenated branches, ReLUs, max pooling, norms, a transposed convolution and a crop."""
    stem = net.relu(net.norm("norm", net.conv("stem", "input", 4, 3, pad=1, bias=False)))
    left = net.lrn("lrn", net.max_pool("max", stem, 3, stride=2, pad=1, ceil=True), size=3)
    right = net.relu(net.conv("strided", stem, 4, 3, stride=2, pad=1))
    small = net.crop("crop", left, net.shape(right)[2:])
    joined = net.concat("concat", net.add("sum", small, right), right)
    up = net.conv_transpose("up", net.scale("scale", joined, 0.5), 3, 2, stride=2)
    net.global_pool("pool", up)


SMOOTH = Architecture(
    name="smooth", description="a test", input=(2, 8, 8), build=draw_smooth, small=8, published=4 * 18 + 4 + 6 * 18 + 6
    + 6 * 9 * 5 - 6 * 5 * 5 + 5, options={"K": 1},
)  # fmt: skip
BRANCHED = Architecture(name="branched", description="a test", input=(3, 9, 9), build=draw_branched, small=9)
NETWORKS = {"smooth": SMOOTH, "branched": BRANCHED}
