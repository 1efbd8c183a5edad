"""The architecture: a network before its batch, input size and dtype are chosen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from harness.networks.builder import NetworkBuilder
from harness.networks.graph import Loss, Network
from harness.problems.numerics import Dtype
from harness.problems.window import Sizes


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Architecture:
    """A network before its batch, input size and dtype are chosen; registered by a plugin.

    input: native shape c *s. small: spatial size for gradient checks. build: function that draws the graph.
    published: number of parameters, None if none was published. counts: "all" if `published` includes the fixed
        statistics, else "learnable".
    options: integer arguments of `build` by name, with their defaults.
    """

    name: str
    description: str
    input: Sizes
    build: Callable[..., None]
    small: int
    loss: Loss = "cross-entropy"
    published: int | None = None
    counts: Literal["learnable", "all"] = "learnable"
    options: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Validate the fields before the graph is drawn; a list of sizes is converted to a tuple."""
        from harness.problems.validation import (
            check_callable,
            check_number,
            check_one_of,
            check_type,
            check_word,
            read_sizes,
        )

        check_word("Architecture name", self.name)
        what = f"network '{self.name}'"
        check_type(f"{what}, description", self.description, str, "a text")
        sizes = read_sizes(f"{what}, input", self.input, "channels and 1 to 3 sizes, such as (3, 224, 224)")
        object.__setattr__(self, "input", sizes)
        check_callable(f"{what}, build", self.build, "a function that takes a harness.NetworkBuilder")
        check_number(f"{what}, small", self.small, "a size of at least 1", least=1, whole=True)
        check_one_of(f"loss of {what}", self.loss, get_args(Loss))
        check_one_of(f"counts of {what}", self.counts, ("learnable", "all"))
        for name, value in self.options.items():
            check_type(f"{what}, option {name}", value, int, "a whole number")

    def draw(self, n: int, size: int, dtype: Dtype, options: Mapping[str, int]) -> Network:
        """Build the graph. Raises GeometryError if layers do not fit.

        n: batch size. size: size of every spatial axis, 0 for the native shape. options: values that replace the
            defaults.
        dtype: of all arrays.
        """
        space = (size,) * (len(self.input) - 1) if size else self.input[1:]
        builder = NetworkBuilder((n, self.input[0], *space), dtype)
        self.build(builder, **{**self.options, **options})
        builder.check_ends()
        return Network(
            name=self.name, input=builder.input, dtype=dtype, nodes=tuple(builder.nodes.values()), loss=self.loss
        )
