"""Every law holds for a right implementation and is broken by a faulty one; no planted fault survives."""

import pytest

from harness.worker.execute import check
from harness.worker.protocol import Check
from suites.geometries import correctness_problems
from suites.laws import all_laws
from tests.faulty import backward, forward, pooling
from tests.faulty.right import Right

LAWS = {law.name: law for law in all_laws()}
PROBLEMS = [item.problem for item in correctness_problems() if item.problem.dtype in ("float32", "float64")]
FAULTS = {fault.name: fault for module in (forward, backward, pooling) for fault in module.FAULTS}

# For each law, a fault that breaks it.
KILLERS = {
    "agrees-with-reference": "faulty:second-call-empty",
    "wide-convolution-commutes": "faulty:flipped",
    "wide-correlation-turns": "faulty:flipped",
    "tap-probe": "faulty:flipped-everywhere",
    "pointwise-is-matmul": "faulty:pointwise-transposed",
    "full-kernel-is-inner-product": "faulty:full-transposed",
    "weight-gradient-is-correlation": "faulty:weight-grad-first-image",
    "input-gradient-is-wide-convolution": "faulty:input-grad-flipped",
    "bias-gradient-is-sum": "faulty:bias-grad-mean",
    "input-adjoint": "faulty:input-grad-pads-swapped",
    "weight-adjoint": "faulty:weight-grad-grouped",
    "bias-adjoint": "faulty:bias-by-image",
    "input-unit-step": "faulty:input-grad-overwrites",
    "weight-unit-step": "faulty:weight-grad-flipped",
    "transpose-is-input-gradient": "faulty:transpose-shifted",
    "maximum-is-selected": "faulty:indices-of-padded",
    "maximum-gradient-is-conserved": "faulty:max-grad-overwrites",
    "maximum-unit-step": "faulty:max-grad-overwrites",
    "mean-is-depthwise-convolution": "faulty:mean-counts-overhang",
    "mean-adjoint": "faulty:mean-grad-undivided",
    "mean-of-ones-is-one": "faulty:mean-counts-overhang",
    "linear-in-the-input": "faulty:rectified",
    "linear-in-the-kernel": "faulty:rectified",
    "shift-by-a-stride": "faulty:width-tail-lost",
    "dilation-is-an-upsampled-kernel": "faulty:dilation-ignored",
    "stride-is-subsampling": "faulty:stride-swapped",
    "groups-are-block-diagonal": "faulty:groups-reversed",
    "padding-is-explicit-zeros": "faulty:edge-padded",
    "images-do-not-mix": "faulty:first-image-only",
    "channels-add-up": "faulty:last-channel-lost",
    "reflection": "faulty:width-tail-lost",
    "axes-exchange": "faulty:width-tail-lost",
    "sums-multiply": "faulty:scaled",
    "bias-shifts": "faulty:bias-scales",
    "impulse-response": "faulty:flipped-everywhere",
    "wide-convolution-associates": "faulty:flipped",
    "nan-stays-local": "faulty:nan-spread",
    "repeats-to-the-bit": "faulty:unsteady",
    "kernel-identity": "faulty:scaled",
    "kernel-sharpen": "faulty:rectified",
    "kernel-emboss": "faulty:flipped",
    "kernel-mean-blur": "faulty:edge-padded",
    "kernel-gaussian-1d": "faulty:one-nan",
    "kernel-gaussian-2d": "faulty:last-tap-lost",
}


def _outcome(backend, law, problem):
    return check(backend, law, Check(law=law.name, problem=problem.line)).outcome


def _where(law):
    return [problem for problem in PROBLEMS if law.applies(problem)]


@pytest.mark.parametrize("name", LAWS)
def test_law_holds_for_a_right_backend(name):
    outcomes = {_outcome(Right(), LAWS[name], problem) for problem in _where(LAWS[name])}
    assert outcomes == {"passed"}


@pytest.mark.parametrize("name", LAWS)
def test_law_is_broken_by_its_fault(name):
    fault = FAULTS[KILLERS[name]]()
    assert any(_outcome(fault, LAWS[name], problem) == "failed" for problem in _where(LAWS[name]))


@pytest.mark.parametrize("name", FAULTS)
def test_no_fault_survives(name):
    first = [law for law, killer in KILLERS.items() if killer == name]  # the quickest way to it
    laws = [LAWS[law] for law in dict.fromkeys([*first, "agrees-with-reference", *LAWS])]
    assert any(_outcome(FAULTS[name](), law, problem) == "failed" for law in laws for problem in _where(law))
