"""Every citation of the specification leads to a section or equation of it, and the code computes its formulas."""

import io
import itertools
import math
import random
import re
import tokenize
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from harness import GeometryError, Numerics, Operator, Problem, Window
from harness.laws import error_bounds
from harness.problems import reference
from harness.problems.accumulation import longest_sum
from harness.problems.numerics import DTYPES, FORMATS
from harness.problems.problem import REGIMES
from harness.problems.taps import mean_divisors
from suites.laws.kernels import KERNELS
from tests.conftest import ROOT

PAGE_PATH = ROOT / "docs" / "specification.md"
PAGE = PAGE_PATH.read_text()
FENCES = {kind: re.findall(rf"^```{kind}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL) for kind in ("text", "python")}
PROSE = re.sub(r"^```.*?^```", "", PAGE, flags=re.MULTILINE | re.DOTALL)
HEADINGS = re.findall(r"^#+ (.*)$", PROSE, re.MULTILINE)
SECTIONS = [name for line in HEADINGS for name in re.findall(r"^Section (\d+):", line)]
EQUATIONS = re.findall(r"\((\d+\.\d+)\)$", "\n".join(FENCES["text"]), re.MULTILINE)
FIRST_CHAPTER = "1"  # its equations are numbered through all sections

SOURCES = [
    path
    for folder in ("harness", "suites", "backends", "reports", "tests", "examples")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if path != Path(__file__)
]
DOCUMENTS = [ROOT / "README.md", *(path for path in sorted((ROOT / "docs").glob("*.md")) if path != PAGE_PATH)]

GAP = r"[\s#]+"  # a citation may be broken over two lines, of a comment too
JOIN = rf"(?:,{GAP}|{GAP}to{GAP}|{GAP}and{GAP})"
NUMBERS = rf"\d+(?:{JOIN}\d+)*"
DOTTED = rf"\d+\.\d+(?:{JOIN}\d+\.\d+)*"
CITATION = re.compile(rf"\(specification(?:,{GAP}sections?{GAP}({NUMBERS})|{GAP}({DOTTED}))\)")
STRAYS = (
    r"\bSPEC\b",
    r"\bDESIGN\b",
    rf"(?i:\bspecification\b),?{GAP}(?:sections?\b|equations?\b|\(?\d)",
    rf"\bsections?{GAP}\d+(?!\.?\d)",  # the works of others are cited by sections such as 3.1
    rf"\bequations?{GAP}\(?\d",
)
BARE = re.compile(rf"\(1\.\d\d?(?:{JOIN}1\.\d\d?)*\)")  # an equation without the name of the document
LAYOUT = (tokenize.NL, tokenize.INDENT, tokenize.DEDENT, tokenize.COMMENT)


@cache
def _prose_of(path, *, values=True):
    """The text of a document, or the comments and strings of a source file; of strings, docstrings alone if asked.

    Files with nothing like a citation in them are empty: to split all into tokens would take seconds.
    """
    text = path.read_text()
    if path.suffix == ".md":
        return text
    if not any(re.search(pattern, text) for pattern in (CITATION, *STRAYS, BARE)):
        return ""
    found, begins_line = [], True
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT or (token.type == tokenize.STRING and (values or begins_line)):
            found.append(token.string)
        if token.type not in LAYOUT:
            begins_line = token.type == tokenize.NEWLINE
    return "\n".join(found)


def _expand(numbers):
    """The numbers that are meant, those between the ends of a range among them: 1.3 to 1.5 is 1.3, 1.4 and 1.5.

    A range that runs backwards or into another chapter stays as it is, and is no number of the page.
    """
    found = []
    for part in re.split(rf",{GAP}|{GAP}and{GAP}", numbers):
        ends = [end.rpartition(".") for end in re.split(rf"{GAP}to{GAP}", part)]
        chapter, dot, first = ends[0]
        last = ends[-1][2]
        if len(ends) > 1 and (ends[-1][0] != chapter or int(last) <= int(first)):
            found.append(part)
        else:
            found += [f"{chapter}{dot}{number}" for number in range(int(first), int(last) + 1)]
    return found


def _cited(text):
    """Sections and equations that a text cites: pairs of the kind and the number."""
    found = []
    for sections, equations in CITATION.findall(text):
        found += [("section", number) for number in _expand(sections)] if sections else []
        found += [("equation", number) for number in _expand(equations)] if equations else []
    return found


def _complain(text):
    """Faults of the citations of a text: without a target, or spelt in another way."""
    known = {("section", name) for name in SECTIONS} | {("equation", name) for name in EQUATIONS}
    wrong = [f"no {kind} {number}" for kind, number in _cited(text) if (kind, number) not in known]
    rest = CITATION.sub("", text)
    wrong += [f"not spelt '(specification, section N)' or '(specification N.M)': {found.group()}"
              for stray in STRAYS for found in re.finditer(stray, rest)]  # fmt: skip
    return wrong


def test_every_citation_resolves():
    wrong = {str(path.relative_to(ROOT)): _complain(_prose_of(path)) for path in (*SOURCES, *DOCUMENTS)}
    assert {path: found for path, found in wrong.items() if found} == {}


def test_no_equation_is_cited_without_the_name_of_the_document():
    bare = {str(path.relative_to(ROOT)): BARE.findall(_prose_of(path, values=False)) for path in SOURCES}
    assert {path: found for path, found in bare.items() if found} == {}
    assert BARE.findall("db (1.14), dw (1.6, 1.7,\n1.12), (1.11 to 1.17), (specification 1.9), took 1.2 (1.1–1.3)") == [
        "(1.14)", "(1.6, 1.7,\n1.12)", "(1.11 to 1.17)"
    ]  # fmt: skip


def test_docstrings_are_told_from_other_strings(tmp_path):
    path = tmp_path / "source.py"
    path.write_text(
        '"""One."""\n# Two.\n\nx = "three (1.14)"\n\n\ndef f():\n    # Four.\n    """Five."""\n    g("six")\n'
    )
    everything = ['"""One."""', "# Two.", '"three (1.14)"', "# Four.", '"""Five."""', '"six"']
    assert _prose_of(path).splitlines() == everything
    assert _prose_of(path, values=False).splitlines() == [one for one in everything if "three" not in one][:-1]


def test_citations_are_found_where_they_stand():
    cited = [one for path in SOURCES for one in _cited(_prose_of(path))]
    assert len(cited) >= 75
    assert {number for kind, number in cited if kind == "section"} >= set("1234567")
    assert {number for kind, number in cited if kind == "equation"} >= {f"1.{n}" for n in range(6, 18)}


@pytest.mark.parametrize(
    "text",
    [
        "(specification, section 11)", "(specification, section 0)", "(specification, sections 3 to 12)",
        "(specification, sections 1 and 30)", "(specification,\n    section 99)", "# (specification,\n# section 99)",
        "(specification 1.18)", "(specification 1.0)", "(specification 1.6, 1.99)", "(specification 1.11 to 1.19)",
        "(specification 11.1)", "(SPEC section 5)", "the formulas of SPEC", "DESIGN, exit codes",
        "specification, section 5", "the specification (1.14)", "(specification section 5)", "section 4",
        "(Higham 2002, section 3)", "equation 1.14", "(specification 1.6 to 2.2)", "(specification, sections 5 to 3)",
    ],
)  # fmt: skip
def test_a_citation_of_nothing_or_of_another_spelling_is_found(text):
    assert _complain(f"y = w ⋆ x {text}.")


@pytest.mark.parametrize(
    "text",
    [
        "(specification, section 5)", "(specification,\n    sections 1 and 3)", "(specification 1.11 to 1.17)",
        "(Higham 2002, section 3.1)", "XML 1.0, section 2.2", "The specification: what a window is", "1.5 s (0.25)",
    ],
)  # fmt: skip
def test_a_right_citation_is_left_alone(text):
    assert not _complain(f"y = w ⋆ x {text}.")


def test_every_single_citation_of_the_code_is_read():
    for path in SOURCES:
        text = _prose_of(path)
        for found in CITATION.finditer(text):
            moved = re.sub(r"(\d+)(?=\)$)", "99", found.group())
            assert _complain(text[: found.start()] + moved + text[found.end() :]), (path, found.group())


def test_sections_and_equations_are_numbered_without_gaps():
    assert [str(n) for n in range(1, len(SECTIONS) + 1)] == SECTIONS
    assert len(EQUATIONS) == len(set(EQUATIONS))
    chapters = {name.partition(".")[0] for name in EQUATIONS}
    assert chapters <= set(SECTIONS)
    for chapter in chapters:
        last = [int(name.partition(".")[2]) for name in EQUATIONS if name.startswith(f"{chapter}.")]
        assert sorted(last) == list(range(1, len(last) + 1)), chapter


def test_an_equation_stands_in_the_section_of_its_number():
    for part in re.split(r"^## Section ", PAGE, flags=re.MULTILINE)[1:]:
        own = part.partition(":")[0]
        for fence in re.findall(r"^```text\n(.*?)^```", part, re.MULTILINE | re.DOTALL):
            for name in re.findall(r"\((\d+)\.\d+\)$", fence, re.MULTILINE):
                assert name in (own, FIRST_CHAPTER)


def test_references_inside_the_page_resolve():
    text = PAGE.replace("*Accuracy and Stability of Numerical Algorithms*, section 3.1", "")
    for name in re.findall(r"\((\d+\.\d+)\)", text):
        assert name in EQUATIONS
    for numbers in re.findall(rf"\bsections?{GAP}({NUMBERS})", text):
        assert set(_expand(numbers)) <= set(SECTIONS), numbers
    anchors = {re.sub(r"[^\w\- ]", "", line.lower()).replace(" ", "-") for line in HEADINGS}
    places = [target for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"))
              for target in re.findall(r"\]\((?:docs/)?(?:specification\.md)?#([^)]+)\)", path.read_text())
              if path == PAGE_PATH or "specification.md#" + target in path.read_text()]  # fmt: skip
    assert len(places) >= len(SECTIONS) and set(places) <= anchors


def test_the_page_names_every_operator_and_regime():
    for name in (*Operator, *REGIMES):
        assert f"`{name}`" in PAGE or f"\n{name} " in "\n".join(FENCES["text"]), name
    table = PAGE.partition("| regime |")[2].partition("\n\n")[0]
    assert set(re.findall(r"`([a-z]+)`", re.sub(r"\|[^|]*\|$", "|", table, flags=re.MULTILINE))) == set(REGIMES)


# --- the formulas of the page against the code -------------------------------------------------------------------


@pytest.fixture(scope="module")
def formulas():
    """Names that the Python blocks of the page define."""
    names = {}
    exec("\n".join(FENCES["python"]), names)
    return names


def _draw_axes(count=300, seed=20):
    """Windows of one to three axes, possible or not: per axis n, m, s, d, begin and end."""
    rng = random.Random(seed)
    for _ in range(count):
        yield [
            (rng.randint(1, 12), rng.randint(1, 4), rng.randint(1, 4), rng.randint(1, 3), rng.randint(0, 4),
             rng.randint(0, 4)) for _ in range(rng.randint(1, 3))
        ]  # fmt: skip


def _window(axes, **more):
    _, _, strides, dilations, begins, ends = zip(*axes, strict=True)
    return Window(stride=strides, dilation=dilations, padding=tuple(zip(begins, ends, strict=True)), **more)


def _fits(formulas, axes):
    return all(formulas["effective_kernel"](m, d) <= n + begin + end for n, m, _, d, begin, end in axes)


def test_sizes_are_those_of_the_window(formulas):
    possible = 0
    for axes in _draw_axes():
        spatial, kernel = (tuple(axis[at] for axis in axes) for at in (0, 1))
        window, ceil = _window(axes), _window(axes, kernel=kernel, ceil_mode=True)
        reach = tuple(formulas["effective_kernel"](m, d) for _, m, _, d, _, _ in axes)
        assert window.reach(kernel) == reach
        if not _fits(formulas, axes):
            with pytest.raises(GeometryError):
                window.output_shape(spatial, kernel)
            continue
        possible += 1
        for one, formula in ((window, "output_size"), (ceil, "ceil_size")):
            sizes = tuple(formulas[formula](*axis) for axis in axes)
            assert one.output_shape(spatial, kernel) == sizes
            ends = tuple(formulas["cover"](*axis[:5], size) for axis, size in zip(axes, sizes, strict=True))
            assert one.cover(spatial, kernel) == tuple(zip((axis[4] for axis in axes), ends, strict=True))
        conv = Problem(operator=Operator.conv, x=(2, 3, *spatial), w=(5, 3, *kernel), window=window)
        pool = Problem(operator=Operator.max_pool, x=(2, 3, *spatial), window=ceil)
        assert conv.y == (2, 5, *(formulas["output_size"](*axis) for axis in axes))
        assert pool.y == (2, 3, *(formulas["ceil_size"](*axis) for axis in axes))
    assert 150 < possible < 300


def test_named_paddings_give_the_sizes_of_the_table(formulas):
    for n, m, d in itertools.product(range(1, 9), range(1, 6), range(1, 4)):
        begin, end = formulas["equal_width"](m, d)
        reach = formulas["effective_kernel"](m, d)
        assert formulas["output_size"](n, m, 1, d, begin, end) == n
        assert 0 <= end - begin <= 1
        assert formulas["output_size"](n, m, 1, d, reach - 1, reach - 1) == n + reach - 1
        assert formulas["output_size"](n, m, 1, d, 0, 0) == n - reach + 1


def test_transposed_sizes_are_those_of_the_problem(formulas):
    possible, rng = 0, random.Random(3)
    for axes in _draw_axes():
        spatial, kernel = (tuple(axis[at] for axis in axes) for at in (0, 1))
        extra = tuple(rng.randint(0, s) for _, _, s, _, _, _ in axes)  # s itself is one too many
        sizes = [formulas["transposed_size"](*axis, more) for axis, more in zip(axes, extra, strict=True)]
        grown = [(size, *axis[1:]) for size, axis in zip(sizes, axes, strict=True)]
        fields = {"operator": Operator.conv_transpose, "x": (2, 3, *spatial), "w": (3, 5, *kernel)}
        legal = all(more < axis[2] for more, axis in zip(extra, axes, strict=True))
        if not legal or min(sizes) < 1 or not _fits(formulas, grown):
            with pytest.raises(GeometryError):
                Problem(**fields, window=_window(axes), output_padding=extra)
            continue
        possible += 1
        assert Problem(**fields, window=_window(axes), output_padding=extra).y == (2, 5, *sizes)
        assert tuple(formulas["output_size"](*axis) for axis in grown) == spatial  # conv leads back
    assert possible > 50


@pytest.mark.parametrize("padding_counts", [True, False])
@pytest.mark.parametrize("ceil", [True, False])
def test_divisors_are_those_of_mean_pooling(formulas, padding_counts, ceil):
    for axes in filter(lambda axes: _fits(formulas, axes), _draw_axes(100)):
        spatial, kernel = (tuple(axis[at] for axis in axes) for at in (0, 1))
        window = _window(axes, kernel=kernel, ceil_mode=ceil, count_include_pad=padding_counts)
        wanted = [
            [formulas["divisor"](i, *axis, padding_counts) for i in range(size)]
            for axis, size in zip(axes, window.output_shape(spatial, kernel), strict=True)
        ]
        assert mean_divisors(spatial, window) == wanted


def _arrays(rng, *sizes):
    return [rng.integers(-9, 9, size) for size in sizes]


@pytest.mark.parametrize("flip", [False, True])
def test_products_and_gradients_of_one_channel(formulas, flip):
    rng, product = np.random.default_rng(5), formulas["convolve" if flip else "correlate"]
    for m, more, s in itertools.product(range(1, 5), range(5), range(1, 4)):
        n = m + more
        window = Window.of(1, stride=s)
        conv = Problem(operator=Operator.conv, x=(1, 1, n), w=(1, 1, m), window=window, flip=flip, dtype="float64")
        x, w, dy = _arrays(rng, n, m, conv.y[2])
        arrays = {"x": x[None, None], "w": w[None, None], "dy": dy[None, None]}
        y = reference.compute_by_loops(conv, arrays)["y"]
        assert y.ravel().tolist() == product(w, x)[::s]
        dx = reference.compute_by_loops(conv.with_(operator=Operator.conv_input_grad), arrays)["dx"].ravel()
        turned = w[::-1] if flip else w  # a turned kernel forwards is the kernel as it is backwards
        wanted = formulas["input_gradient"](dy, turned, s)
        assert dx.tolist() == wanted + [0] * (n - len(wanted))  # what no window reaches has no gradient
        if s == 1:
            dw = reference.compute_by_loops(conv.with_(operator=Operator.conv_weight_grad), arrays)["dw"].ravel()
            gradient = formulas["kernel_gradient"](dy, x)
            assert dw.tolist() == (gradient[::-1] if flip else gradient)
            back = formulas["correlate" if flip else "convolve"]  # the other product
            assert dx.tolist() == back(w, formulas["widen"](dy, m))


def test_lengths_of_sums_are_those_of_the_table():
    table = dict(re.findall(r"^\| (`conv.*|`.*pool.*) \| `([^`]+)` \|$", PAGE, re.MULTILINE))
    formula = {name: text for names, text in table.items() for name in re.findall(r"`([a-z_]+)`", names)}
    assert set(formula) == set(Operator)
    window = Window.of(2, groups=2)
    for operator, text in formula.items():
        fields = {"x": (3, 4, 7, 6), "w": (6, 2, 2, 3), "window": window}
        if Operator(operator).pools:
            fields = {"x": (3, 4, 7, 6), "window": Window.of(2, kernel=(2, 3))}
        if operator == Operator.conv_transpose:
            fields |= {"x": (3, 6, 7, 6), "output_padding": (0, 0)}
        for bias in (False, True) if operator in (Operator.conv, Operator.conv_transpose) else (False,):
            problem = Problem(operator=operator, bias=bias, **fields)
            positions = math.prod(problem.y[2:])
            names = {"C": 4, "O": 6, "G": 2, "N": 3, "taps": 6, "positions": positions, "bias": bias}
            assert eval(text, {}, names) == longest_sum(problem), operator


def _problems_of_bounds():
    conv = Problem(operator=Operator.conv, x=(2, 6, 9, 8), w=(4, 3, 3, 2), window=Window.of(2, groups=2), bias=True)
    long = Problem(operator=Operator.conv_weight_grad, x=(64, 1, 64), w=(1, 1, 3), window=Window.of(1))
    pool = Problem(operator=Operator.avg_pool_grad, x=(1, 2, 9), window=Window.of(1, kernel=(3,)))
    for problem in (conv, long, pool):
        for dtype in DTYPES:
            for data in ("normal", "uniform", "negative", "nonfinite"):
                yield problem.with_(dtype=dtype, data=data)


NUMERICS = (
    Numerics(), Numerics(algorithm="gemm", output_roundings=3), Numerics(accumulator={}),
    Numerics(rounds_input_to="tf32"), Numerics(algorithm="fft"), Numerics(algorithm="winograd", tile=4),
)  # fmt: skip


@pytest.mark.parametrize("numerics", NUMERICS[:4])
@pytest.mark.parametrize("maths", ["ieee", "tf32"])
def test_factors_of_the_bound_are_those_of_the_code(formulas, numerics, maths):
    for problem in _problems_of_bounds():
        problem, out = problem.with_(math=maths), FORMATS[problem.dtype]
        u_in = FORMATS["tf32"].u if numerics.rounds_input_to and maths == "tf32" else 0.0
        u = (2 if u_in else 1) * numerics.sums_in(problem.dtype).u
        length = longest_sum(problem)
        roundings = max(min(numerics.output_roundings, length), 1) + (problem.operator is Operator.avg_pool_grad)
        both = problem.data not in ("uniform", "constant", "negative")
        factor = formulas["element_factor"](length, u, u_in, out.u, roundings, both)
        assert error_bounds.relative_bound(problem, numerics) == pytest.approx(factor, rel=1e-12)
        magnitude = np.asarray([1e-3, 3.0, 1e4])
        y = np.asarray([0.0, -2.0, 1e3])
        found = error_bounds.sum_bound(problem, numerics, {}, magnitude) + error_bounds.rounding_bound(problem, y)
        wanted = formulas["element_bound"](factor, length, magnitude, y, out.u, out.smallest)
        np.testing.assert_allclose(found, wanted, rtol=1e-12)


@pytest.mark.parametrize("numerics", NUMERICS[4:])
def test_norm_bounds_are_those_of_the_code(formulas, numerics):
    rng = np.random.default_rng(2)
    problem = Problem(operator=Operator.conv, x=(1, 1, 9, 8), w=(1, 1, 3, 2), window=Window.of(2, dilation=2))
    arrays = {"x": rng.standard_normal(problem.x), "w": rng.standard_normal(problem.w)}
    points = (9 + 5) * (8 + 3)
    factor = formulas["norm_factor"](numerics.algorithm, points, numerics.tile)
    wanted = factor * 2.0**-24 * np.linalg.norm(arrays["x"]) * np.linalg.norm(arrays["w"])
    magnitude = np.ones(problem.y)
    found = error_bounds.sum_bound(problem, numerics, arrays, magnitude)
    np.testing.assert_allclose(found, wanted + 2.0**-24 * magnitude, rtol=1e-12)


def test_kernels_are_those_of_the_gallery():
    rows = [line.split() for fence in FENCES["text"] for line in fence.splitlines() if re.fullmatch(r"[-\d. ]+", line)]
    assert [len(row) for row in rows] == [12, 12, 12]
    matrices = np.asarray(rows, dtype=float).reshape(3, 4, 3).swapaxes(0, 1)
    for name, matrix in zip(("identity", "sharpen", "emboss", "mean-blur"), matrices, strict=True):
        np.testing.assert_array_equal(KERNELS[name][1](), matrix)
