"""Problems for Hypothesis, valid by construction: the output is drawn and the input follows from it."""

from hypothesis import strategies as st

from harness import Operator, Problem, Window
from harness.spec.numerics import DTYPES
from harness.spec.problem import LAYOUTS, MATHS, REGIMES


@st.composite
def problems(draw, *, largest=4, dtypes=DTYPES, regimes=REGIMES):
    operator = draw(st.sampled_from(Operator))
    axes = draw(st.integers(1, 3))
    small = st.integers(1, largest if axes < 3 else 2)
    kernel, out, stride, dilation = (tuple(draw(small) for _ in range(axes)) for _ in range(4))
    padding = tuple((draw(st.integers(0, 2)), draw(st.integers(0, 2))) for _ in range(axes))
    groups = 1 if operator.pools else draw(st.sampled_from((1, 1, 2, 3)))
    reach = tuple((m - 1) * d + 1 for m, d in zip(kernel, dilation, strict=True))
    transposed = operator is Operator.conv_transpose
    sizes, extra = [], []
    for p, s, r, (begin, end) in zip(out, stride, reach, padding, strict=True):
        spare = draw(st.integers(0, s - 1))
        n = (p - 1) * s + r + spare - begin - end
        if n < 1:  # the padding alone would hold every window: grow the input by whole strides
            steps = -(-(1 - n) // s)
            n, p = n + steps * s, p + steps
        sizes.append((n, p))
        extra.append(spare)
    o, c = groups * draw(st.integers(1, 3)), draw(st.integers(1, 3))
    spatial = tuple(p if transposed else n for n, p in sizes)
    pools = operator.pools
    window = Window(
        stride=stride, padding=padding, dilation=dilation, groups=groups, kernel=kernel if pools else None,
        ceil_mode=pools and draw(st.booleans()), count_include_pad=not pools or draw(st.booleans()),
    )  # fmt: skip
    return Problem(
        operator=operator,
        x=(draw(st.integers(1, 3)), o if transposed else c * groups, *spatial),
        w=None if pools else (o, c, *kernel),
        window=window,
        bias=operator in (Operator.conv, Operator.conv_transpose) and draw(st.booleans()),
        output_padding=tuple(extra) if transposed else None,
        flip=not pools and draw(st.booleans()),
        dtype=draw(st.sampled_from(dtypes)),
        math=draw(st.sampled_from(MATHS)),
        layout=draw(st.sampled_from(LAYOUTS)),
        data=draw(st.sampled_from([r for r in regimes if pools or r != "distinct"])),
        seed=draw(st.integers(0, 2**31)),
    )
