"""Builder of network graphs: each call adds one node and computes its shape, so that misfitting layers fail early."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from harness.errors import GeometryError
from harness.networks.graph import INPUT, Glue, Node
from harness.problems.numerics import Dtype
from harness.problems.operator import Operator
from harness.problems.problem import Problem
from harness.problems.window import Sizes, Window

PerAxis = int | Sequence[int]
Pad = int | Sequence[int | tuple[int, int]]


class NetworkBuilder:
    """A network under construction.

    A node is known by its name, and each method returns the name of the node it adds. Common arguments:
    name: name of the new node. x: name of the input node. channels: output channels. kernel, stride, dilation: one
        number, or one for each spatial axis. pad: one number, or for each axis a number or (begin, end). groups: number
        of groups.
    Methods raise GeometryError if a name is unknown or taken, or if shapes do not fit.
    """

    def __init__(self, shape: Sizes, dtype: Dtype = "float32") -> None:
        self.input, self.dtype = tuple(shape), dtype
        self.nodes: dict[str, Node] = {}

    def shape(self, name: str) -> Sizes:
        """Return the output shape n c *s of a node. Raises GeometryError if there is no such node."""
        if name == INPUT:
            return self.input
        if name not in self.nodes:
            raise GeometryError(
                f"unknown node: got '{name}', wanted one drawn before: {', '.join(self.nodes) or INPUT}"
            )
        return self.nodes[name].shape

    def conv(
        self, name: str, x: str, channels: int, kernel: PerAxis, *, stride: PerAxis = 1, pad: Pad = 0,
        dilation: PerAxis = 1, groups: int = 1, bias: bool = True,
    ) -> str:  # fmt: skip
        """Add a convolution with `channels` output channels, and a bias unless `bias` is False.

        bias: True to add a bias for each output channel.
        """
        shape = self.shape(x)
        axes = len(shape) - 2
        problem = Problem(
            operator=Operator.conv, x=shape, w=(channels, shape[1] // groups, *spread(kernel, axes)), bias=bias,
            window=_window(axes, stride, pad, dilation, groups), dtype=self.dtype,
        )  # fmt: skip
        return self._operator(name, x, problem)

    def dense(self, name: str, x: str, channels: int, *, bias: bool = True) -> str:
        """Add a fully connected layer: a convolution with a kernel as large as the input (specification 1.10).

        bias: as for `conv`.
        """
        return self.conv(name, x, channels, self.shape(x)[2:], bias=bias)

    def conv_transpose(
        self, name: str, x: str, channels: int, kernel: PerAxis, *, stride: PerAxis = 1, pad: Pad = 0,
        output_padding: PerAxis = 0, groups: int = 1, bias: bool = True,
    ) -> str:  # fmt: skip
        """Add a transposed convolution with `channels` output channels.

        output_padding: size added at the end of each axis. bias: False for none.
        """
        shape = self.shape(x)
        axes = len(shape) - 2
        problem = Problem(
            operator=Operator.conv_transpose, x=shape, w=(shape[1], channels // groups, *spread(kernel, axes)),
            bias=bias, window=_window(axes, stride, pad, 1, groups), output_padding=spread(output_padding, axes),
            dtype=self.dtype,
        )  # fmt: skip
        return self._operator(name, x, problem)

    def max_pool(self, name: str, x: str, kernel: PerAxis, **window: Any) -> str:
        """Add max pooling; keywords as for `avg_pool`.

        window: sizes and steps of the pooling.
        """
        return self._pool(Operator.max_pool, name, x, kernel, **window)

    def avg_pool(self, name: str, x: str, kernel: PerAxis, **window: Any) -> str:
        """Add average pooling.

        stride: the kernel's size unless given. pad, dilation: as for `conv`. ceil: round the output size up.
        include_pad: count padding in the divisor.
        window: sizes and steps of the pooling.
        """
        return self._pool(Operator.avg_pool, name, x, kernel, **window)

    def global_pool(self, name: str, x: str) -> str:
        """Add average pooling over all spatial positions."""
        return self.avg_pool(name, x, self.shape(x)[2:])

    def relu(self, x: str) -> str:
        """Add max(x, 0)."""
        return self._glue("relu", f"{x}.relu", (x,))

    def sigmoid(self, x: str) -> str:
        """Add 1 / (1 + exp(-x))."""
        return self._glue("sigmoid", f"{x}.sigmoid", (x,))

    def tanh(self, x: str) -> str:
        """Add tanh(x)."""
        return self._glue("tanh", f"{x}.tanh", (x,))

    def lrn(self, name: str, x: str, *, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> str:
        """Add local response normalisation over `size` channels (Krizhevsky 2012, section 3.3).

        alpha, beta, k: y = x (k + alpha/size sum x^2)^-beta.
        size: channels in each sum.
        """
        return self._glue("lrn", name, (x,), {"size": size, "alpha": alpha, "beta": beta, "k": k})

    def norm(self, name: str, x: str, *, eps: float = 1e-5, scale: bool = True, gain: float = 1.0) -> str:
        """Add batch normalisation with fixed statistics (Ioffe and Szegedy 2015).

        eps: added to the variance. scale: False for no gamma.
        gain: centre of gamma's random initial values; below 1 at the end of a residual branch, because fixed statistics
            do not limit the growth of activations over many additions.
        """
        channels = (self.shape(x)[1],)
        learnt = {"gamma": channels, "beta": channels} if scale else {"beta": channels}
        fixed = {"mean": channels, "variance": channels}
        return self._glue("norm", name, (x,), {"eps": eps, "gain": gain}, learnt, fixed)

    def scale(self, name: str, x: str, factor: float) -> str:
        """Add a multiplication by the constant `factor`.

        factor: what the array is multiplied by.
        """
        return self._glue("scale", name, (x,), {"factor": factor})

    def add(self, name: str, *inputs: str) -> str:
        """Add a sum of arrays of equal shape."""
        shapes = [self.shape(x) for x in inputs]
        if len(set(shapes)) != 1:
            raise GeometryError(f"{name}: got shapes {shapes}, wanted equal ones to be added")
        return self._glue("add", name, inputs)

    def concat(self, name: str, *inputs: str) -> str:
        """Add a concatenation of arrays along the channels."""
        shapes = [self.shape(x) for x in inputs]
        if len({(n, *space) for n, _, *space in shapes}) != 1:
            raise GeometryError(f"{name}: got shapes {shapes}, wanted equal ones but for channels")
        first = shapes[0]
        return self._glue("concat", name, inputs, shape=(first[0], sum(s[1] for s in shapes), *first[2:]))

    def crop(self, name: str, x: str, space: Sizes) -> str:
        """Add a centre crop to the spatial sizes `space`.

        space: size per axis that is kept.
        """
        shape = self.shape(x)
        if any(small > large for small, large in zip(space, shape[2:], strict=True)):
            raise GeometryError(f"{name}: got {shape[2:]} to be cropped to {space}, wanted a smaller size")
        return self._glue("crop", name, (x,), shape=(*shape[:2], *space))

    def expand(self, name: str, x: str, space: Sizes) -> str:
        """Add a broadcast of one number per channel, as after `global_pool`, to the spatial sizes `space`.

        space: size per axis of the result.
        """
        shape = self.shape(x)
        if set(shape[2:]) != {1}:
            raise GeometryError(f"{name}: got {shape[2:]} to be expanded to {space}, wanted a single number a channel")
        return self._glue("expand", name, (x,), shape=(*shape[:2], *space))

    def check_ends(self) -> None:
        """Raise GeometryError unless every node but the last is an input of another node."""
        read = {name for node in self.nodes.values() for name in node.inputs}
        loose = [name for name in list(self.nodes)[:-1] if name not in read]
        if loose or not self.nodes:
            raise GeometryError(f"the network has loose ends: {', '.join(loose) or 'no node'}; wanted one output, last")

    def _pool(
        self, operator: Operator, name: str, x: str, kernel: PerAxis, *, stride: PerAxis | None = None, pad: Pad = 0,
        dilation: PerAxis = 1, ceil: bool = False, include_pad: bool = True,
    ) -> str:  # fmt: skip
        shape = self.shape(x)
        axes = len(shape) - 2
        window = _window(axes, kernel if stride is None else stride, pad, dilation, 1)
        window = Window(
            stride=window.stride, padding=window.padding, dilation=window.dilation, kernel=spread(kernel, axes),
            ceil_mode=ceil, count_include_pad=include_pad,
        )  # fmt: skip
        return self._operator(name, x, Problem(operator=operator, x=shape, window=window, dtype=self.dtype))

    def _operator(self, name: str, x: str, problem: Problem) -> str:
        parameters = {} if problem.w is None else {"w": problem.w}
        if problem.bias:
            parameters["b"] = (problem.y[1],)
        node = Node(
            name=name, kind=problem.operator, inputs=(x,), shape=problem.y, problem=problem, parameters=parameters
        )
        return self._put(node)

    def _glue(
        self,
        kind: Glue,
        name: str,
        inputs: tuple[str, ...],
        options: Mapping[str, float] | None = None,
        parameters: Mapping[str, Sizes] | None = None,
        statistics: Mapping[str, Sizes] | None = None,
        shape: Sizes | None = None,
    ) -> str:
        node = Node(
            name=name, kind=kind, inputs=inputs, shape=shape or self.shape(inputs[0]), options=options or {},
            parameters=parameters or {}, statistics=statistics or {},
        )  # fmt: skip
        return self._put(node)

    def _put(self, node: Node) -> str:
        if node.name in self.nodes or node.name == INPUT:
            raise GeometryError(f"the name '{node.name}' is taken in this network, wanted a new one")
        if not math.prod(node.shape):
            raise GeometryError(f"{node.name}: got shape {node.shape}, wanted no size of 0")
        self.nodes[node.name] = node
        return node.name


def spread(value: PerAxis, axes: int) -> Sizes:
    """Expand a number to all axes; return a sequence as a tuple."""
    return (value,) * axes if isinstance(value, int) else tuple(value)


def _window(axes: int, stride: PerAxis, pad: Pad, dilation: PerAxis, groups: int) -> Window:
    sides = (pad,) * axes if isinstance(pad, int) else tuple(pad)
    pairs = tuple((side, side) if isinstance(side, int) else side for side in sides)
    return Window(stride=spread(stride, axes), padding=pairs, dilation=spread(dilation, axes), groups=groups)
