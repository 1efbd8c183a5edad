"""Every backend that is built in, by its own declaration; what needs a CUDA device skips with the backend's reason."""

import numpy as np
import pytest

import harness
from harness import BackendUnderTest, Operator, parse_line
from harness.analysis.exit_code import find_exit_code
from harness.backend.base import native_operators
from harness.backend.routing import find_route
from harness.generate.dispatch.problems import dispatch_problems, estimate_cost
from harness.plugins.manager import load_plugins
from harness.problems.data import make_arrays
from harness.problems.reference import turn
from harness.record.run import WRONG

CPU = ("numpy-direct", "scipy-signal", "fft", "im2col", "sparse", "torch")
SOON = ("im2col",)  # asked by the quick tests, too
CUDA = ("torch-cudnn", "cupy", "cupy-fft")
LINES = (
    "conv x=2x4x9x8 w=6x2x3x2 groups=2 bias stride=2,1 pad=1:0,2",
    "conv x=2x3x8x9 w=4x3x1x1",
    "conv_input_grad x=2x4x9x8 w=6x2x3x2 groups=2 pad=1:0,2",
    "conv_weight_grad x=2x3x9x8 w=6x3x3x2 stride=2,1",
    "conv_bias_grad x=2x3x9x8 w=6x3x3x2",
    "conv_transpose x=2x3x5x4 w=3x2x3x2 stride=2 output_padding=1 bias",
    "max_pool x=2x3x9x8 kernel=3x2 stride=2,1 pad=1,0",
    "max_pool_grad x=2x3x9x8 kernel=3x2 stride=2,1",
    "avg_pool x=2x3x9x8 kernel=3x2 stride=2,1 pad=1,0",
    "avg_pool_grad x=2x3x9x8 kernel=3x2 stride=2,1",
)


EXACT = tuple(f"{line} data=integer" for line in LINES)
CHEAP = 5e5  # operations
EVERY = 9  # of the problems on specialised code paths; .ci/run asks all of them in a run of its own
NOT_EXACT = ("are not exact in", "nothing about subnormals", "are only known to")  # as in .ci/check_report.py


def _run(backend, folder):
    problems = [one.problem for one in dispatch_problems()]
    lines = [problem.line for problem in problems if estimate_cost(problem) < CHEAP][::EVERY]
    paths = harness.run(
        "correctness", backends=[backend], problems=lines, laws=["agrees-with-reference"], output=folder / "paths"
    )
    assert not [f"{r.problem}: {r.reason}" for r in paths.results if r.outcome in WRONG]
    assert paths.counts["passed"] > len(lines) / 2
    run = harness.run("correctness", backends=[backend], output=folder / "run", depth="quick")
    wrong = [f"{r.problem} {r.law}: {r.reason}" for r in run.results if r.outcome in WRONG]
    assert not wrong
    assert find_exit_code(run) == 0
    assert run.counts["passed"] > 5000
    asked = [r for r in run.results if r.outcome == "skipped" and r.worker]
    assert not [r.reason for r in asked if not any(words in r.reason for words in NOT_EXACT)]
    assert len(asked) < 40  # the plan leaves out dear ones


@pytest.mark.slow
@pytest.mark.whole
@pytest.mark.parametrize("backend", CPU)
def test_no_law_is_broken(backend, tmp_path):
    _run(backend, tmp_path)


@pytest.mark.parametrize(
    "backend", [pytest.param(name, marks=[] if name in SOON else [pytest.mark.slow]) for name in CPU]
)
def test_no_law_is_broken_on_a_problem_of_every_operator(backend, tmp_path):
    run = harness.run("correctness", backends=[backend], problems=EXACT, output=tmp_path / "run")
    assert not [f"{r.problem} {r.law}: {r.reason}" for r in run.results if r.outcome in WRONG]
    assert find_exit_code(run) == 0
    passed = {parse_line(r.problem).operator for r in run.results if r.outcome == "passed"}
    assert passed >= set(native_operators(load_plugins().backend(backend)))


@pytest.mark.slow
@pytest.mark.parametrize("backend", [pytest.param(name, marks=pytest.mark.gpu(name)) for name in CUDA])
def test_no_law_is_broken_on_a_cuda_device(backend, tmp_path):
    _run(backend, tmp_path)


@pytest.mark.parametrize("layout", ["channels-first", "channels-last"])
@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("name", CPU)
def test_inputs_stay_and_outputs_are_fresh(name, line, layout):
    backend, problem = load_plugins().backend(name), parse_line(f"{line} layout={layout}")
    if find_route(backend, problem).kind == "unsupported":
        pytest.skip(find_route(backend, problem).reason)
    subject, arrays = BackendUnderTest(backend, problem), make_arrays(problem)
    given = {k: backend.to_device(a) for k, a in turn(problem, arrays).items()}
    before = {k: np.array(backend.to_host(a)) for k, a in given.items()}
    prepared = subject.prepare(problem, arrays)
    first = prepared.run()
    kept = prepared.fetch(first)
    second = prepared.run()
    for output, bits in prepared.fetch(first).items():
        np.testing.assert_array_equal(bits, kept[output], err_msg="the second call changed the first one's output")
        np.testing.assert_array_equal(bits, prepared.fetch(second)[output])
    assert all(np.array_equal(backend.to_host(given[k]), before[k]) for k in given)


@pytest.mark.parametrize("name", (*CPU, *CUDA))
def test_declarations_are_complete(name):
    backend = load_plugins().backend(name)
    assert native_operators(backend)
    assert set(backend.dtypes) >= {"float64", "float32"}
    assert backend.device == ("cuda" if name in CUDA else "cpu")
    problem = parse_line("conv x=2x3x9x8 w=6x3x3x2")
    assert backend.work(problem) > 0
    assert backend.workspace(problem) >= 0
    assert backend.numerics_for(problem).algorithm in ("direct", "gemm", "fft", "winograd")


def test_numpy_direct_and_torch_have_all_nine_operators():
    for name in ("numpy-direct", "torch", "torch-cudnn"):
        assert native_operators(load_plugins().backend(name)) == tuple(Operator)


@pytest.mark.slow  # starts a process for each
def test_cuda_backends_say_why_they_are_unavailable(tmp_path):
    run = harness.run(
        "correctness", backends=CUDA, problems=["conv x=1x2x9 w=3x2x3"], laws=["agrees-with-reference"],
        output=tmp_path / "run",
    )  # fmt: skip
    for name in run.unavailable:
        assert len(run.unavailable[name]) > 10
    ran = {result.backend for result in run.results if result.outcome == "passed"}
    assert ran | set(run.unavailable) == set(CUDA)


@pytest.mark.parametrize(
    ("line", "algorithm"),
    [
        ("conv x=2x3x9x8 w=6x3x3x2", "winograd"),
        ("conv x=2x3x9x8 w=6x3x3x2 dtype=float16", "winograd"),
        ("conv_transpose x=2x3x5x4 w=3x2x3x2", "winograd"),
        ("conv x=2x3x19x18 w=6x3x13x2", "fft"),
        ("conv x=2x3x9x8 w=6x3x3x2 stride=2,1", "gemm"),
        ("conv_input_grad x=2x3x9x8 w=6x3x3x2 dilation=2,1", "gemm"),
        ("conv x=2x3x9x8 w=6x3x1x1", "gemm"),
        ("conv x=2x3x9x8 w=6x3x3x2 dtype=float64", "gemm"),
        ("conv x=2x3x9x8 w=6x3x3x2 math=tf32", "gemm"),
        ("max_pool x=2x3x9x8 kernel=3x2", "gemm"),
    ],
)
def test_cudnn_is_granted_an_error_per_norm_only_where_it_can_transform(line, algorithm):
    assert load_plugins().backend("torch-cudnn").numerics_for(parse_line(line)).algorithm == algorithm


@pytest.mark.parametrize("math", ["ieee", "tf32"])
def test_torch_is_switched_to_the_arithmetic_of_the_problem_by_switches_that_agree(math):
    torch = pytest.importorskip("torch")
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    call = load_plugins().backend("torch-cudnn").settle(lambda: (matmul.allow_tf32, cudnn.allow_tf32), math)
    try:
        assert call() == (math == "tf32",) * 2
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before


def test_cupy_declares_what_its_switch_and_its_atomic_sums_do(monkeypatch):
    cupy, fft = (load_plugins().backend(name) for name in ("cupy", "cupy-fft"))
    conv, pool = parse_line("conv x=2x3x9x8 w=6x3x3x2"), parse_line("max_pool_grad x=2x3x9x8 kernel=3x2 stride=2,1")
    monkeypatch.delenv("CUPY_TF32", raising=False)
    assert cupy.numerics_for(conv).rounds_input_to is None
    assert (cupy.numerics_for(conv).deterministic, cupy.numerics_for(pool).deterministic) == (True, False)
    monkeypatch.setenv("CUPY_TF32", "1")
    assert cupy.numerics_for(conv).rounds_input_to == "tf32"
    assert cupy.numerics_for(conv.with_(dtype="float64")).rounds_input_to is None
    assert fft.numerics_for(conv).algorithm == "fft"
