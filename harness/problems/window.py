"""The window: movement of a kernel over its input, and the resulting sizes (specification, sections 2 and 4)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from harness.errors import GeometryError

Sizes = tuple[int, ...]
Padding = tuple[tuple[int, int], ...]
REMEMBERED = 4096  # output shapes, of windows that were checked


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Stride, padding (begin, end per axis), dilation and groups; for pooling also kernel and its two modes.

    A Window can be built with any whole numbers; `check` and `output_shape` raise GeometryError for impossible ones,
    so that a backend's answer to an illegal window can be tested. Lists are converted to tuples; values of another type
    raise UsageError.
    """

    stride: Sizes
    padding: Padding
    dilation: Sizes
    groups: int = 1
    kernel: Sizes | None = None
    ceil_mode: bool = False
    count_include_pad: bool = True

    def __post_init__(self) -> None:
        """Convert lists, and refuse what is no whole number."""
        if not self._has_types:
            self._convert()

    @property
    def _has_types(self) -> bool:
        """True if nothing needs conversion: a list has no hash, and the type of a sum reveals those of its numbers."""
        kernel = self.kernel
        try:
            hash(self.padding)
            numbers = sum(self.stride) + sum(self.dilation) + sum([begin + end for begin, end in self.padding])
            return (
                type(numbers) is int
                and type(self.stride) is tuple
                and type(self.dilation) is tuple
                and type(self.padding) is tuple
                and (kernel is None or (type(kernel) is tuple and type(sum(kernel)) is int))
                and type(self.groups) is int
                and type(self.ceil_mode) is bool
                and type(self.count_include_pad) is bool
            )
        except (TypeError, ValueError):
            return False

    def _convert(self) -> None:
        from harness.problems.validation import check_type, read_sizes, refuse

        several = "a number per axis, such as (1, 1); Window.of(2, stride=1) takes one for all axes"
        for name in ("stride", "dilation"):
            object.__setattr__(self, name, read_sizes(name, getattr(self, name), several))
        if self.kernel is not None:
            object.__setattr__(self, "kernel", read_sizes("kernel", self.kernel, "a number per axis, such as (2, 2)"))
        wanted = "begin and end per axis, such as ((1, 1), (1, 1)); Window.of(2, padding=1) takes one for all sides"
        if not isinstance(self.padding, tuple | list):
            raise refuse("padding", self.padding, wanted)
        sides = tuple(read_sizes("padding", one, wanted) for one in self.padding)
        if any(len(one) != 2 for one in sides):
            raise refuse("padding", self.padding, wanted)
        object.__setattr__(self, "padding", sides)
        check_type("groups", self.groups, int, "a whole number")
        for name in ("ceil_mode", "count_include_pad"):
            check_type(name, getattr(self, name), bool, "True or False")

    @classmethod
    def of(
        cls,
        axes: int,
        *,
        stride: int | Sizes = 1,
        padding: int | Padding = 0,
        dilation: int | Sizes = 1,
        groups: int = 1,
        kernel: Sizes | None = None,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> Window:
        """Build a Window for a number of axes; a single number stands for every axis and side.

        axes: number of spatial axes. stride, dilation, kernel: one number for all axes, or one for each. padding: one
        number, one for each axis, or (begin, end) for each axis. groups, ceil_mode, count_include_pad: as in `Window`.
        """
        return cls(
            stride=(stride,) * axes if isinstance(stride, int) else stride,
            padding=((padding, padding),) * axes if isinstance(padding, int) else padding,
            dilation=(dilation,) * axes if isinstance(dilation, int) else dilation,
            groups=groups,
            kernel=kernel,
            ceil_mode=ceil_mode,
            count_include_pad=count_include_pad,
        )

    @property
    def axes(self) -> int:
        """Number of spatial axes."""
        return len(self.stride)

    def reach(self, kernel: Sizes) -> Sizes:
        """Effective kernel m' = m + (m-1)(d-1) per axis: the span that a dilated kernel covers."""
        return tuple(m + (m - 1) * (d - 1) for m, d in zip(kernel, self.dilation, strict=True))

    def check(self, spatial: Sizes, kernel: Sizes) -> None:
        """Raise GeometryError unless the window fits an input of this spatial size."""
        axes = len(spatial)
        self.check_steps(axes)
        if len(kernel) != axes:
            raise GeometryError(
                f"impossible geometry: the kernel has {len(kernel)} axes, wanted {axes} as the input has"
            )
        for axis in range(axes):
            self._check_axis(axis, spatial[axis], kernel[axis])
        if self.groups < 1:
            raise GeometryError(f"impossible geometry: got groups {self.groups}, wanted at least 1")

    def check_conv(self, x: Sizes, w: Sizes) -> None:
        """Raise GeometryError unless a kernel of shape w (O, C/groups, *K) fits an input of shape x (N, C, *S)."""
        self.output_shape(x[2:], w[2:])
        if w[0] % self.groups or x[1] % self.groups:
            raise GeometryError(
                f"impossible geometry: groups {self.groups} does not divide the channels (C {x[1]}, O {w[0]})"
            )
        if w[1] * self.groups != x[1]:
            raise GeometryError(
                f"impossible geometry: w takes {w[1]} channels per group, wanted {x[1] // self.groups} "
                f"(C {x[1]} over groups {self.groups})"
            )

    def check_transposed(self, x: Sizes, w: Sizes, output_padding: Sizes) -> None:
        """Raise GeometryError unless the window fits conv_transpose.

        x, w: shapes of the input and the kernel; w has a row for each channel of x. output_padding: one number per
        axis,
        smaller than the stride.
        """
        self.check_steps(len(x) - 2)
        if self.groups < 1 or w[0] % self.groups:
            raise GeometryError(f"impossible geometry: groups {self.groups} does not divide the channels (C {w[0]})")
        if w[0] != x[1]:
            raise GeometryError(f"impossible geometry: w has {w[0]} rows, wanted {x[1]} as x has channels")
        for axis, (extra, s) in enumerate(zip(output_padding, self.stride, strict=True)):
            if not 0 <= extra < s:
                raise GeometryError(
                    f"impossible geometry on axis {axis}: got output_padding {extra}, wanted 0 to {s - 1}"
                )
        shape = self.transposed_shape(x[2:], w[2:], output_padding)
        for axis, size in enumerate(shape):
            if size < 1:
                raise GeometryError(
                    f"impossible geometry on axis {axis}: the padding crops all of the output (size {size})"
                )
        self.output_shape(shape, w[2:])

    def check_steps(self, axes: int) -> None:
        """Raise GeometryError unless stride, padding and dilation are possible for so many axes, whatever the sizes."""
        for name, value in (("stride", self.stride), ("padding", self.padding), ("dilation", self.dilation)):
            if len(value) != axes:
                raise GeometryError(
                    f"impossible geometry: {name} has {len(value)} axes, wanted {axes} as the input has"
                )
        if min(*self.stride, *self.dilation, 1) >= 1 and all(min(sides) >= 0 for sides in self.padding):
            return
        for axis, (stride, dilation, sides) in enumerate(zip(self.stride, self.dilation, self.padding, strict=True)):
            for name, number, least in (("stride", stride, 1), ("dilation", dilation, 1), ("padding", min(sides), 0)):
                if number < least:
                    raise GeometryError(
                        f"impossible geometry on axis {axis}: got {name} {number}, wanted at least {least}"
                    )

    def _check_axis(self, axis: int, n: int, m: int) -> None:
        dilation, (begin, end) = self.dilation[axis], self.padding[axis]
        if m < 1:
            raise GeometryError(f"impossible geometry on axis {axis}: got kernel {m}, wanted at least 1")
        reach = m + (m - 1) * (dilation - 1)
        if reach > n + begin + end:
            raise GeometryError(
                f"impossible geometry on axis {axis}: the effective kernel {reach} (kernel {m}, dilation {dilation}) "
                f"is larger than the padded input {n + begin + end} (size {n}, padding {begin}:{end}); "
                f"make the kernel smaller or the padding larger"
            )

    def output_shape(self, spatial: Sizes, kernel: Sizes) -> Sizes:
        """Output sizes P per axis: floor((n+b+e-m')/s)+1, or the ceil rule (specification, section 4).

        Raises GeometryError as `check` does. What was checked is remembered.
        """
        return _output_shape(self, tuple(spatial), tuple(kernel))

    def transposed_shape(self, spatial: Sizes, kernel: Sizes, output_padding: Sizes) -> Sizes:
        """Output sizes of conv_transpose per axis: (p-1)s + m' - b - e + output_padding (specification, section 3).

        spatial: sizes of the input. kernel: sizes of the kernel. output_padding: one number for each axis.
        """
        return tuple(
            (p - 1) * s + reach - begin - end + extra
            for p, s, reach, (begin, end), extra in zip(
                spatial, self.stride, self.reach(kernel), self.padding, output_padding, strict=True
            )
        )

    def cover(self, spatial: Sizes, kernel: Sizes) -> Padding:
        """Padding that makes the input exactly as long as its windows: (begin, end) per axis.

        A negative end crops positions that no window reaches; with ceil_mode the end may exceed the
        padding. With it, the output size is (extent - m')/s + 1 without remainder.
        """
        return tuple(
            (begin, (count - 1) * s + reach - n - begin)
            for n, count, reach, s, (begin, _) in zip(
                spatial,
                self.output_shape(spatial, kernel),
                self.reach(kernel),
                self.stride,
                self.padding,
                strict=True,
            )
        )


@lru_cache(maxsize=REMEMBERED)
def _output_shape(window: Window, spatial: Sizes, kernel: Sizes) -> Sizes:
    """Check the window and compute `Window.output_shape`; problems and laws ask for the same shape dozens of times."""
    window.check(spatial, kernel)
    sizes = []
    for n, reach, s, (begin, end) in zip(spatial, window.reach(kernel), window.stride, window.padding, strict=True):
        span = n + begin + end - reach
        count = span // s + 1
        if window.ceil_mode:
            count = -(-span // s) + 1
            if (count - 1) * s >= n + begin:
                count -= 1
        sizes.append(count)
    return tuple(sizes)
