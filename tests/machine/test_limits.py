import pytest

from harness.machine.limits import (
    describe_limits,
    parse_group,
    parse_quota,
    parse_throttling,
    read_free_memory,
    read_throttling,
    usable_memory,
)
from tests.machine.trees import write_tree

OLD = "9:name=systemd:/\n4:memory:/box\n3:cpuset:/\n1:cpu,cpuacct:/box/inner\n0::/\n"
GROUPS = "sys/fs/cgroup"
NEW = {f"{GROUPS}/cgroup.controllers": "cpu memory\n", "proc/self/cgroup": "0::/box/inner\n"}


@pytest.mark.parametrize(
    ("controller", "path"),
    [("", "/"), ("cpu", "/box/inner"), ("cpuacct", "/box/inner"), ("memory", "/box"), ("io", "/")],
)
def test_each_controller_has_its_own_group(controller, path):
    assert parse_group(OLD, controller) == path


def test_the_group_of_version_two_may_hold_colons():
    assert parse_group("0::/user.slice/a:b\n", "") == "/user.slice/a:b"
    assert parse_group(None, "") == parse_group("nonsense", "") == "/"


@pytest.mark.parametrize(
    ("text", "cpus"),
    [
        ("150000 100000", 1.5),
        ("max 100000", None),
        ("-1 100000", None),
        ("None None", None),
        ("5 0", None),
        (None, None),
    ],
)
def test_a_quota_is_a_number_of_processors(text, cpus):
    assert parse_quota(text) == cpus


def test_throttling_is_counted_in_periods():
    assert parse_throttling("usage_usec 5\nnr_periods 40\nnr_throttled 3\nthrottled_usec 9") == (40, 3)
    assert parse_throttling("usage_usec 5\n") is parse_throttling(None) is None


def test_the_tightest_limit_on_the_way_up_counts(tmp_path):
    root = write_tree(tmp_path, NEW | {
        f"{GROUPS}/box/cpu.max": "200000 100000\n", f"{GROUPS}/box/inner/cpu.max": "max 100000\n",
        f"{GROUPS}/box/memory.max": "max\n", f"{GROUPS}/box/inner/memory.max": "1073741824\n",
        f"{GROUPS}/cpu.max": "400000 100000", f"{GROUPS}/cpu.stat": "nr_periods 9\nnr_throttled 9\n",
        f"{GROUPS}/box/cpu.stat": "nr_periods 40\nnr_throttled 3\n",
        f"{GROUPS}/box/inner/cpuset.cpus.effective": "0-1\n", f"{GROUPS}/cpuset.cpus.effective": "0-7\n",
    })  # fmt: skip
    assert describe_limits(root) == {"cgroup": 2, "cpus": 2.0, "memory_bytes": 2**30, "cpuset": "0-1"}
    assert read_throttling(root) == (40, 3)


def test_a_container_sees_its_own_group_as_the_root(tmp_path):
    root = write_tree(tmp_path, NEW | {"proc/self/cgroup": "0::/../other\n", f"{GROUPS}/cpu.max": "50000 100000\n"})
    assert describe_limits(root)["cpus"] == 0.5


def test_the_first_version_writes_no_limit_as_a_number(tmp_path):
    root = write_tree(tmp_path, {
        "proc/self/cgroup": OLD, f"{GROUPS}/cpu/box/cpu.cfs_quota_us": "300000",
        f"{GROUPS}/cpu/box/cpu.cfs_period_us": "100000", f"{GROUPS}/cpu/cpu.cfs_quota_us": "-1",
        f"{GROUPS}/cpu/cpu.cfs_period_us": "100000", f"{GROUPS}/cpu/box/cpu.stat": "nr_periods 7\nnr_throttled 2\n",
        f"{GROUPS}/memory/memory.limit_in_bytes": "9223372036854771712\n", f"{GROUPS}/cpuset/cpuset.cpus": "0-3\n",
    })  # fmt: skip
    assert describe_limits(root) == {"cgroup": 1, "cpus": 3.0, "memory_bytes": None, "cpuset": "0-3"}
    assert read_throttling(root) == (7, 2)
    write_tree(root, {f"{GROUPS}/memory/box/memory.limit_in_bytes": "4096\n"})
    assert describe_limits(root)["memory_bytes"] == 4096


def test_without_groups_nothing_is_known(tmp_path):
    assert set(describe_limits(tmp_path).values()) == {None}
    assert read_throttling(tmp_path) is None


def test_free_memory_is_the_least_of_the_machine_and_its_groups(tmp_path):
    assert read_free_memory(tmp_path) is usable_memory(tmp_path) is None
    root = write_tree(tmp_path, NEW | {"proc/meminfo": "MemTotal: 9000 kB\nMemAvailable:   4000 kB\n"})
    assert read_free_memory(root) == 4_096_000
    write_tree(root, {f"{GROUPS}/box/memory.max": "3000000\n", f"{GROUPS}/box/memory.current": "1000000\n"})
    assert read_free_memory(root) == 2_000_000
    write_tree(root, {f"{GROUPS}/box/memory.stat": "anon 7\ninactive_file 500000\n"})  # cache is given back
    assert read_free_memory(root) == 2_500_000
    assert usable_memory(root) == 2_250_000
    write_tree(root, {f"{GROUPS}/box/memory.current": "9000000\n"})
    assert read_free_memory(root) == 0


def test_free_memory_of_the_first_version(tmp_path):
    memory = f"{GROUPS}/memory"
    root = write_tree(tmp_path, {
        "proc/self/cgroup": OLD, "proc/meminfo": "MemAvailable: 4000 kB\n",
        f"{memory}/memory.limit_in_bytes": "9223372036854771712\n", f"{memory}/memory.usage_in_bytes": "5\n",
    })  # fmt: skip
    assert read_free_memory(root) == 4_096_000
    write_tree(root, {
        f"{memory}/box/memory.limit_in_bytes": "3000\n", f"{memory}/box/memory.usage_in_bytes": "2000\n",
        f"{memory}/box/memory.stat": "inactive_file 1\ntotal_inactive_file 300\n",
    })  # fmt: skip
    assert read_free_memory(root) == 1300
