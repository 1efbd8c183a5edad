import copy
import json
import os
import platform
import subprocess
import sys

import pytest

from harness.record import environment
from harness.record.environment import describe_environment, describe_threads, fingerprint
from tests.conftest import ROOT

KEPT = (
    "cpu", "cores", "memory_gib", "machine", "system", "threads", "kernel", "python", "libraries", "git", "variables",
    "fingerprint", "processors", "caches", "frequency", "virtual", "limits", "swap", "hugepages", "aslr", "blas",
    "gpus",
)  # fmt: skip
GPU = {
    "index": 0,
    "name": "Example",
    "uuid": "GPU-1",
    "driver": "1",
    "memory_bytes": 1,
    "sm_mhz": 1,
    "throttled_by": [],
}


@pytest.fixture(scope="module")
def record():
    return describe_environment() | {"gpus": [GPU]}


def values_in(part):
    """Every leaf of the record."""
    if isinstance(part, dict):
        part = part.values()
    if isinstance(part, str) or not hasattr(part, "__iter__"):
        return [part]
    return [leaf for one in part for leaf in values_in(one)]


def test_the_record_is_plain_data_with_everything_in_it():
    record = describe_environment(3)
    assert json.loads(json.dumps(record)) == record
    assert set(KEPT) <= set(record)
    assert record["threads"] == 3
    assert describe_environment()["threads"] == record["cores"]


def test_the_same_machine_has_the_same_fingerprint():
    one, two = describe_environment(), describe_environment(1)
    assert one["fingerprint"] == two["fingerprint"] == fingerprint(one)
    assert len(one["fingerprint"]) == 12


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("cpu", "another"),
        ("cores", 99),
        ("caches", [{"level": 1, "type": "data", "bytes": 1, "shared_by": 1}]),
        ("memory_gib", 99_999),
        ("machine", "riscv64"),
        ("system", "Another"),
        ("python", "4.0.0"),
        ("libraries", {"numpy": "0.1"}),
        ("gpus", []),
        ("gpus", [GPU | {"name": "another"}]),
        ("gpus", [GPU, GPU]),
    ],
)
def test_what_is_stable_moves_the_fingerprint(record, name, other):
    assert fingerprint(record | {name: other}) != fingerprint(record)


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("frequency", {"min_mhz": 1.0, "max_mhz": 2.0, "driver": "x", "governor": "x", "turbo": True}),
        ("kernel", "0.0.0-other"),
        ("swap", {"total_bytes": 9, "used_bytes": 8}),
        ("limits", {"cgroup": 2, "cpus": 0.1, "memory_bytes": 1, "cpuset": "9"}),
        ("hugepages", "other"),
        ("aslr", 77),
        ("clocksource", "other"),
        ("virtual", "other"),
        ("git", {"revision": "0", "dirty": True}),
        ("variables", {"OMP_NUM_THREADS": "77"}),
        ("threads", 77),
        ("gpus", [GPU | {"uuid": "GPU-2", "driver": "2", "sm_mhz": 9, "throttled_by": ["power cap"], "index": 3}]),
        ("something new", "x"),
    ],
)
def test_what_moves_by_itself_does_not_move_the_fingerprint(record, name, other):
    changed = copy.deepcopy(record) | {name: other}
    assert changed != record
    assert fingerprint(changed) == fingerprint(record)


def test_the_order_of_gpus_and_libraries_does_not_matter(record):
    two = [GPU, GPU | {"name": "another"}]
    turned = dict(reversed(record["libraries"].items()))
    assert fingerprint(record | {"gpus": two}) == fingerprint(record | {"gpus": two[::-1], "libraries": turned})


def test_no_variable_outside_the_list_appears_anywhere(monkeypatch):
    secret = "d0-not-write-this"
    for name in ("MY_API_TOKEN", "GITHUB_TOKEN", "OMP_NUM_THREADS_TOKEN", "HARNESS_LEASE", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, secret)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    record = describe_environment()
    text = json.dumps(record)
    assert record["variables"]["OMP_NUM_THREADS"] == "3"
    assert secret not in text
    assert not any(word in text for word in ("TOKEN", "SECRET", "HARNESS_LEASE"))
    assert not any(word in name for name in environment.ALLOWED for word in ("TOKEN", "SECRET", "KEY", "PASS", "LEASE"))


def test_the_host_is_not_named(record):
    assert platform.node()
    assert platform.node() not in values_in(record)


def test_threads_are_those_of_the_process_that_asks():
    script = "from harness.record.environment import describe_threads as d; a = d(); import numpy; import json; "
    script += "print(json.dumps([a, d()]))"
    before, after = json.loads(
        subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, check=True).stdout
    )
    assert before == []
    assert any(pool["user_api"] == "blas" and pool["num_threads"] >= 1 for pool in after)
    assert not any("/" in pool["library"] for pool in after)


def test_thread_pools_follow_their_limits():
    import numpy  # noqa: F401  loads its BLAS
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        assert {pool["num_threads"] for pool in describe_threads()} == {1}


def test_a_folder_without_history_has_no_git_state(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert describe_environment()["git"] == {}
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    subprocess.run(["git", "init", "--quiet"], check=True)
    subprocess.run(
        ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-qm", "x", "--allow-empty"], check=True
    )
    clean = describe_environment()["git"]
    assert (len(clean["revision"]), clean["dirty"]) == (40, False)
    (tmp_path / "new").touch()
    assert describe_environment()["git"] == clean | {"dirty": True}


def test_without_git_there_is_no_git_state(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert describe_environment()["git"] == {}
