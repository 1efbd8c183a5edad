"""Instruction sets as arms: what a processor allows, what becomes of an arm, and what is refused."""

import pytest

import harness
from harness.backend.switches import SWITCHES
from harness.errors import UsageError
from harness.plan.arm import parse_arms
from harness.plan.instruction_sets import TABLE, Processor, choose_switches, read_processor, settings_of, spread_arms

ZEN3 = frozenset(["pni", "sse4_1", "sse4_2", "avx", "avx2", "fma"])
SKYLAKE = ZEN3 | frozenset(["avx512f", "avx512bw", "avx512dq", "avx512vl"])


class Both(harness.Backend):
    """A backend that knows two switches."""

    name = "both"
    instruction_sets = ("onednn", "numpy")


class Neither(harness.Backend):
    """A backend that knows none."""

    name = "neither"


def _values(switch, processor):
    return [value for _, value in settings_of(switch, processor)]


def test_levels_are_those_that_the_processor_has():
    assert _values("onednn", Processor(ZEN3)) == ["SSE41", "AVX", "AVX2"]
    assert _values("onednn", Processor(SKYLAKE)) == ["SSE41", "AVX", "AVX2", "AVX512_CORE"]
    assert _values("aten", Processor(ZEN3)) == ["default", "avx2"]  # ATen believes in avx512 where it is told, and dies
    assert _values("openblas", Processor(ZEN3)) == ["Prescott", "Nehalem", "Sandybridge", "Haswell", "Zen"]
    assert _values("onednn", Processor(frozenset({"asimd"}))) == []


def test_mkl_obeys_on_processors_of_its_maker_only():
    assert _values("mkl", Processor(ZEN3, "AuthenticAMD")) == []
    assert _values("mkl", Processor(ZEN3, "GenuineIntel")) == ["SSE4_2", "AVX", "AVX2"]


def test_numpy_leaves_out_features_from_each_one_up_and_never_its_baseline():
    assert _values("numpy", Processor(ZEN3, numpy=("X86_V3", "X86_V4"))) == ["X86_V3,X86_V4", "X86_V4"]
    assert _values("numpy", Processor(ZEN3)) == []


def test_every_level_needs_more_than_those_before_it_or_as_much():
    for name, switch in TABLE.items():
        for lower, higher in zip(switch.levels, switch.levels[1:], strict=False):
            if lower.value not in ("ARMV8", "AVX2_VNNI"):  # another architecture, and a branch of its own
                assert len(lower.needs) <= len(higher.needs), (name, lower, higher)


def test_arms_stand_behind_the_one_that_they_lower():
    arms = parse_arms(["both", "b=both@set:ONEDNN_MAX_CPU_ISA=AVX"])
    found = spread_arms(arms, SWITCHES, [Both(), Both()], Processor(ZEN3, numpy=("X86_V3",)))
    assert [arm.name for arm in found] == [
        "both", *(f"both@set:ONEDNN_MAX_CPU_ISA={level}" for level in ("SSE41", "AVX", "AVX2")),
        "both@set:NPY_DISABLE_CPU_FEATURES=X86_V3", "b", "b@set:NPY_DISABLE_CPU_FEATURES=X86_V3",
    ]  # fmt: skip
    assert [arm.switch for arm in found] == ["", "onednn", "onednn", "onednn", "numpy", "", "numpy"]
    assert found[-1].environment.settings == (("ONEDNN_MAX_CPU_ISA", "AVX"), ("NPY_DISABLE_CPU_FEATURES", "X86_V3"))


def test_a_backend_without_switches_stays_one_arm_beside_others_and_is_refused_alone():
    arms = parse_arms(["neither", "both"])
    assert spread_arms(arms, frozenset({"numpy"}), [Neither(), Both()], Processor(ZEN3)) == arms
    with pytest.raises(UsageError, match="neither cannot be told by"):
        spread_arms(arms[:1], SWITCHES, [Neither()], Processor(ZEN3))


def test_names_of_switches_are_read():
    assert choose_switches([]) == choose_switches(["none"]) == frozenset()
    assert choose_switches(["all"]) == choose_switches(["all", "aten"]) == SWITCHES
    assert choose_switches(["aten", "mkl"]) == {"aten", "mkl"}
    with pytest.raises(UsageError, match="isa: got 'avx2', wanted all, none or one of aten"):
        choose_switches(["avx2"])
    with pytest.raises(UsageError, match="isa: got 'none' and aten"):
        choose_switches(["none", "aten"])


def test_a_processor_is_read_and_one_that_says_nothing_is_refused():
    read = read_processor("processor : 0\nvendor_id\t: GenuineIntel\nflags\t\t: sse4_1 avx\nflags : other\n")
    assert (read.flags, read.vendor) == (frozenset({"sse4_1", "avx"}), "GenuineIntel")
    with pytest.raises(UsageError, match="does not say which instruction sets"):
        read_processor(None)
