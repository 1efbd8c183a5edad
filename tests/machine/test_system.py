import pytest

from harness.machine.system import (
    count_processors,
    describe_machine,
    parse_choice,
    parse_cpu_model,
    parse_hypervisor,
    parse_list,
    parse_mhz,
    parse_number,
    parse_size,
    parse_swap,
    read_caches,
    read_frequency,
    read_mhz,
    read_siblings,
    read_text,
    read_virtual,
)
from tests.machine.trees import write_tree

X86 = """processor\t: 0
model name\t: Example CPU 9000
cpu MHz\t\t: 2596.096
flags\t\t: fpu vme hypervisor avx2
processor\t: 1
model name\t: Example CPU 9000
cpu MHz\t\t: 3100.5
flags\t\t: fpu vme hypervisor avx2
"""
BARE = "model name\t: Example CPU\nflags\t\t: fpu vme_hypervisor avx2\n"
ARM = "processor\t: 0\nBogoMIPS\t: 50.00\nFeatures\t: fp asimd\nCPU implementer\t: 0x41\n"
MEMINFO = "MemTotal:       24000000 kB\nSwapTotal:       2048 kB\nSwapFree:         512 kB\n"
CPU = "sys/devices/system/cpu"


def test_the_model_is_the_first_name_and_arm_has_none():
    assert parse_cpu_model(X86) == "Example CPU 9000"
    assert parse_cpu_model(ARM) is None
    assert parse_cpu_model(None) is None


def test_frequencies_are_one_for_each_processor():
    assert parse_mhz(X86) == (2596.096, 3100.5)
    assert parse_mhz(ARM) == parse_mhz(None) == parse_mhz("cpu MHz : unknown") == ()


@pytest.mark.parametrize(("cpuinfo", "virtual"), [(X86, True), (BARE, False), (ARM, None), (None, None)])
def test_a_hypervisor_is_a_flag_by_itself(cpuinfo, virtual):
    assert parse_hypervisor(cpuinfo) is virtual


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("0-3,8", (0, 1, 2, 3, 8)), ("5", (5,)), ("0, 2-3", (0, 2, 3)), ("", ()), (None, ()), ("a-b", ()), ("1-", (1,))],
)
def test_lists_of_processors(text, numbers):
    assert parse_list(text) == numbers


@pytest.mark.parametrize(
    ("text", "size"),
    [("48K", 49152), ("32M", 2**25), ("1G", 2**30), ("512", 512), ("K", None), ("x", None), (None, None)],
)
def test_sizes(text, size):
    assert parse_size(text) == size


def test_numbers_and_choices():
    assert (parse_number("2"), parse_number("-1"), parse_number("two"), parse_number(None)) == (2, -1, None, None)
    assert parse_choice("always [madvise] never") == "madvise"
    assert parse_choice("always madvise") is parse_choice(None) is None


def test_swap_in_use_is_what_is_not_free():
    assert parse_swap(MEMINFO) == {"total_bytes": 2048 * 1024, "used_bytes": 1536 * 1024}
    assert parse_swap("MemTotal: 1 kB") is parse_swap(None) is parse_swap("SwapTotal:\nSwapFree:") is None


def test_two_sockets_of_two_cores_of_two_threads():
    siblings = {n: f"{n % 4},{n % 4 + 4}" for n in range(8)}
    packages = {n: str(n % 2) for n in range(8)}
    assert count_processors(siblings, packages) == {"sockets": 2, "cores": 4, "threads_per_core": 2}
    assert count_processors({0: "0", 1: "1"}, {}) == {"sockets": 1, "cores": 2, "threads_per_core": 1}
    assert count_processors({}, {}) is None


def test_siblings_are_those_that_are_switched_on(tmp_path):
    root = write_tree(tmp_path, {
        f"{CPU}/cpu0/topology/thread_siblings_list": "0,2\n", f"{CPU}/cpu10/topology/thread_siblings_list": "10\n",
        f"{CPU}/cpu1/online": "0\n", f"{CPU}/cpufreq/boost": "0\n",
    })  # fmt: skip
    assert read_siblings(root) == {0: "0,2", 10: "10"}


def test_caches_come_in_the_order_of_their_levels(tmp_path):
    cache = f"{CPU}/cpu0/cache"
    root = write_tree(tmp_path, {
        f"{cache}/index3/level": "3", f"{cache}/index3/type": "Unified", f"{cache}/index3/size": "32768K",
        f"{cache}/index3/shared_cpu_list": "0-7", f"{cache}/index0/level": "1", f"{cache}/index0/type": "Data",
        f"{cache}/index0/size": "48K", f"{cache}/index1/level": "1", f"{cache}/index1/type": "Instruction",
        f"{cache}/index4/level": "1", f"{cache}/index4/type": "Instruction", f"{cache}/index4/size": "32K",
        f"{cache}/index2/level": "2", f"{cache}/index2/type": "Unified", f"{cache}/index2/size": "1M",
    })  # fmt: skip
    assert read_caches(root) == [
        {"level": 1, "type": "data", "bytes": 49152, "shared_by": None},
        {"level": 1, "type": "instruction", "bytes": 2**15, "shared_by": None},
        {"level": 2, "type": "unified", "bytes": 2**20, "shared_by": None},
        {"level": 3, "type": "unified", "bytes": 2**25, "shared_by": 8},
    ]


def test_frequency_governor_and_driver(tmp_path):
    root = write_tree(tmp_path, {
        f"{CPU}/cpu0/cpufreq/cpuinfo_min_freq": "800000\n", f"{CPU}/cpu0/cpufreq/cpuinfo_max_freq": "4700000\n",
        f"{CPU}/cpu0/cpufreq/scaling_driver": "intel_pstate\n", f"{CPU}/cpu0/cpufreq/scaling_governor": "powersave\n",
        f"{CPU}/cpu1/cpufreq/scaling_governor": "performance\n", f"{CPU}/intel_pstate/no_turbo": "1\n",
    })  # fmt: skip
    assert read_frequency(root) == {
        "min_mhz": 800.0, "max_mhz": 4700.0, "driver": "intel_pstate", "governor": "performance, powersave",
        "turbo": False,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("files", "turbo"),
    [
        ({"intel_pstate/no_turbo": "0"}, True),
        ({"cpufreq/boost": "1"}, True),
        ({"cpufreq/boost": "0"}, False),
        ({"cpufreq/policy0/boost": "0", "cpufreq/policy1/boost": "1"}, True),
        ({}, None),
    ],
)
def test_turbo_as_each_driver_tells_it(tmp_path, files, turbo):
    assert (
        read_frequency(write_tree(tmp_path, {f"{CPU}/{name}": text for name, text in files.items()}))["turbo"] is turbo
    )


def test_the_driver_tells_frequencies_better_than_cpuinfo(tmp_path):
    root = write_tree(tmp_path, {"proc/cpuinfo": X86})
    assert read_mhz(root) == (2596.096, 3100.5)
    write_tree(tmp_path, {f"{CPU}/cpu0/cpufreq/scaling_cur_freq": "1200000\n"})
    assert read_mhz(root) == (1200.0,)


def test_a_hypervisor_that_names_itself_is_enough(tmp_path):
    assert read_virtual(write_tree(tmp_path, {"proc/cpuinfo": BARE})) is False
    assert read_virtual(write_tree(tmp_path, {"sys/hypervisor/type": "xen\n"})) is True


def test_where_nothing_can_be_read_all_is_none(tmp_path):
    found = describe_machine(tmp_path)
    assert found.pop("caches") == []
    assert set(found.pop("frequency").values()) == {None}
    assert set(found.values()) == {None}


def test_what_is_no_text_is_none(tmp_path):
    (tmp_path / "empty").write_text("\n")
    assert read_text(tmp_path) is read_text(tmp_path / "absent") is read_text(tmp_path / "empty") is None
