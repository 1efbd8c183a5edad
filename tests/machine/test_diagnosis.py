import pytest

from harness.machine.diagnosis import (
    Finding,
    check_frequency,
    check_governor,
    check_gpus,
    check_hugepages,
    check_jitter,
    check_load,
    check_processes,
    check_quota,
    check_siblings,
    check_steal,
    check_swap,
    check_threads,
    check_timer,
    check_turbo,
    check_virtual,
    check_waiting,
    conclude,
    diagnose,
)
from harness.machine.probes import Activity, Jitter

QUIET = {"steal": 0.0, "others_cores": 0.02, "busiest": (("sh", 0.01),), "throttling": None}
STEADY = {"median_ns": 2e5, "p90": 1.01, "p99": 1.05, "drift": 0.001}
APART, PAIRS = {0: "0", 1: "1"}, {0: "0,2", 1: "1,3", 2: "0,2", 3: "1,3"}
GPU = {"index": 0, "sm_mhz": 300, "sm_max_mhz": 1980, "persistence": True, "throttled_by": ["idle"]}
NO_LIMITS = {"cgroup": 2, "cpus": None}


def activity(**changes):
    return Activity(**QUIET | changes)


def jitter(**changes):
    return Jitter(**STEADY | changes)


CASES = [
    (check_governor("performance"), "good"),
    (check_governor("powersave"), "poor"),
    (check_governor("performance, powersave"), "poor"),
    (check_governor(None), "unknown"),
    (check_turbo(False), "good"),
    (check_turbo(True), "poor"),
    (check_turbo(None), "unknown"),
    (check_frequency((3000.0, 3010.0), False), "good"),
    (check_frequency((3000.0, 3000.0), False), "good"),
    (check_frequency((3000.0, 3300.0), True), "poor"),
    (check_frequency((3000.0, 3000.0), True), "unknown"),
    (check_frequency((), False), "unknown"),
    (check_siblings(APART, frozenset({0, 1}), False), "good"),
    (check_siblings(APART, frozenset({0, 1}), True), "unknown"),
    (check_siblings(PAIRS, frozenset({0, 1, 2, 3}), False), "poor"),
    (check_siblings(PAIRS, frozenset({0, 1, 2, 3}), True), "poor"),
    (check_siblings(PAIRS, frozenset({0, 1}), False), "good"),
    (check_siblings({}, frozenset({0, 1}), False), "unknown"),
    (check_virtual(False), "good"),
    (check_virtual(True), "poor"),
    (check_virtual(None), "unknown"),
    (check_steal(0.001), "good"),
    (check_steal(0.02), "poor"),
    (check_steal(None), "unknown"),
    (check_quota(NO_LIMITS, 4, None), "good"),
    (check_quota(NO_LIMITS | {"cpus": 4.0}, 4, (20, 0)), "good"),
    (check_quota(NO_LIMITS | {"cpus": 4.0}, 4, None), "good"),
    (check_quota(NO_LIMITS | {"cpus": 1.5}, 4, (20, 0)), "poor"),
    (check_quota(NO_LIMITS | {"cpus": 4.0}, 4, (20, 1)), "poor"),
    (check_quota({"cgroup": None, "cpus": None}, 4, None), "unknown"),
    (check_load(0.1), "good"),
    (check_load(1.5), "poor"),
    (check_load(None), "unknown"),
    (check_processes(activity()), "good"),
    (check_processes(activity(others_cores=None)), "good"),
    (check_processes(activity(others_cores=0.8)), "poor"),
    (check_processes(activity(busiest=(("cc1plus", 0.6),))), "poor"),
    (check_processes(activity(others_cores=None, busiest=())), "unknown"),
    (check_swap({"total_bytes": 2**32, "used_bytes": 2**20}), "good"),
    (check_swap({"total_bytes": 2**32, "used_bytes": 2**30}), "poor"),
    (check_swap(None), "unknown"),
    (check_hugepages("madvise"), "good"),
    (check_hugepages("always"), "poor"),
    (check_hugepages(None), "unknown"),
    (check_timer(30, "tsc"), "good"),
    (check_timer(30, None), "good"),
    (check_timer(5_000, "tsc"), "poor"),
    (check_timer(30, "hpet"), "poor"),
    (check_waiting({"OMP_WAIT_POLICY": "active", "GOMP_SPINCOUNT": "1000"}), "good"),
    (check_waiting({"OMP_WAIT_POLICY": " passive "}), "poor"),
    (check_waiting({"KMP_BLOCKTIME": "0"}), "poor"),
    (check_threads({}, 4), "good"),
    (check_threads({"OMP_NUM_THREADS": "4", "MKL_NUM_THREADS": "4"}, 4), "good"),
    (check_threads({"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "4"}, 4), "poor"),
    (check_threads({"OMP_NUM_THREADS": "8"}, 4), "poor"),
    (check_jitter(jitter()), "good"),
    (check_jitter(jitter(p90=1.2)), "poor"),
    (check_jitter(jitter(p99=1.5)), "poor"),
    (check_jitter(jitter(drift=-0.1)), "poor"),
    *zip(check_gpus([], driver=False), ["good"], strict=True),
    *zip(check_gpus([], driver=True), ["unknown"], strict=True),
    *zip(check_gpus([GPU], driver=True), ["good", "unknown", "good"], strict=True),
    *zip(
        check_gpus([GPU | {"persistence": False, "throttled_by": ["application clocks", "power cap"]}], driver=True),
        ["poor", "good", "poor"],
        strict=True,
    ),
    (check_gpus([GPU | {"throttled_by": ["application clocks"]}], driver=True)[2], "good"),
    *zip(check_gpus([GPU | {"persistence": None, "throttled_by": None}], driver=True), ["unknown"] * 3, strict=True),
]


@pytest.mark.parametrize(("finding", "state"), CASES, ids=[f"{i} {one.name} {s}" for i, (one, s) in enumerate(CASES)])
def test_each_check_tells_good_from_poor_from_unknown(finding, state):
    assert finding.state == state
    assert finding.found
    assert bool(finding.advice) >= (state == "poor"), "what is poor comes with something to do"
    assert state != "good" or not finding.advice


def test_advice_names_the_processors_and_threads_of_this_machine():
    shared = check_siblings({n: f"{n % 2},{n % 2 + 2}" for n in range(4)}, frozenset({1, 2, 3}), False)
    assert "taskset --cpu-list 2,1 " in shared.advice
    assert "--threads 2 " in shared.advice
    assert check_siblings(PAIRS, frozenset({0, 2}), False).found == "processors 2, cores 1, siblings shared"
    quota = check_quota(NO_LIMITS | {"cpus": 0.5}, 4, (20, 3))
    assert quota.found == "time of 0.5 processors, 4 visible; stopped in 3 of 20 periods"
    assert quota.advice.startswith("--threads 1 --jobs 1")
    assert check_waiting({"OMP_WAIT_POLICY": "PASSIVE"}).advice.startswith("unset OMP_WAIT_POLICY:")
    assert "at most 4" in check_threads({"OMP_NUM_THREADS": "8"}, 4).advice


def test_only_the_busy_are_named_and_the_rest_is_counted():
    busy = tuple((f"p{n}", 0.9) for n in range(7))
    finding = check_processes(activity(others_cores=6.3, busiest=(*busy, ("sh", 0.1))))
    assert finding.found == "others used 6.30 cores; p0 90%, p1 90%, p2 90%, p3 90%, p4 90%"


def test_each_gpu_has_findings_of_its_own():
    names = [finding.name for finding in check_gpus([GPU, GPU | {"index": 1}], driver=True)]
    assert names[:3] == ["gpu 0 persistence", "gpu 0 clocks", "gpu 0 throttling"]
    assert len(set(names)) == 6


def test_the_conclusion_counts_and_names_what_is_poor():
    good, poor, unknown = (Finding(name=state, state=state, found="x") for state in ("good", "poor", "unknown"))
    assert conclude([good, good]) == "None of 2 checks found what makes times noisy."
    assert conclude([good, unknown]).endswith("noisy; 1 could not be told.")
    assert conclude([good, poor, unknown]).startswith("1 of 3 checks found what makes times noisy (poor); 1 could")


def test_this_machine_gets_every_finding_once(monkeypatch):
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")
    findings = {one.name: one for one in diagnose(0.1)}
    wanted = {"governor", "turbo", "frequency", "cores", "virtual machine", "steal", "quota", "load", "other processes",
              "swap", "huge pages", "timer", "waiting threads", "thread variables", "jitter"}  # fmt: skip
    assert wanted <= set(findings)
    assert any(name.startswith("gpu") for name in findings)
    assert findings["waiting threads"].state == "poor"
