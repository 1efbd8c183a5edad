"""A network as a plugin: python -m harness run networks --plugin ./examples/network.py --network tiny"""

import harness


def draw(net: harness.NetworkBuilder) -> None:
    """Two convolutions, the second parallel to a shortcut, and a classifier; names stand for the outputs of nodes."""
    stem = net.relu(net.conv("stem", "input", 8, 3, pad=1))
    branch = net.conv("branch", stem, 8, 3, pad=1)
    joined = net.relu(net.add("shortcut", stem, branch))
    pooled = net.max_pool("pool", joined, 2)
    net.dense("classes", pooled, 10)


TINY = harness.Architecture(
    name="tiny",
    description="an example: a shortcut around one convolution",
    input=(3, 16, 16),
    build=draw,
    small=16,  # the size at which gradients are checked
    published=224 + 584 + 5130,  # None where no count was published
)


@harness.hookimpl
def register_networks(register) -> None:
    """Register the architecture."""
    register(TINY)
