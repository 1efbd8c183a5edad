"""Counting instructions: the kernel's counter by an event that every kernel has, valgrind where it is installed."""

import json
import struct
import subprocess
import sys

import pytest

from harness.errors import UsageError
from harness.measure.instructions import choose, kernel, valgrind
from harness.measure.instructions.counter import CountError
from tests.conftest import ROOT

SOFTWARE, TASK_CLOCK, NO_SUCH = 1, 1, 999
COUNTED = """
import json, sys
from harness.measure.instructions.choose import counting, open_counter
def loop(steps):
    for _ in range(steps):
        pass
def threaded():
    import threading
    thread = threading.Thread(target=loop, args=(20_000,)); thread.start(); thread.join()
counter, found = open_counter("valgrind", sys.argv[1]), {}
with counting(counter) as count:
    found["short"] = [count(lambda: loop(10_000))[1] for _ in range(3)]
    found["long"] = [count(lambda: loop(20_000))[1] for _ in range(3)]
    found["thread"] = [count(threaded)[1] for _ in range(3)]
    found["nothing"] = [count(lambda: None)[1] for _ in range(3)]
    found["result"] = count(lambda: 7)[0]
print(json.dumps(found))
"""


def find_valgrind():
    try:
        return valgrind.find_program()
    except CountError as error:
        return str(error)


needs_valgrind = pytest.mark.skipif(not find_valgrind().startswith("/"), reason=find_valgrind())


def open_clock():
    try:
        return kernel.KernelCounter(SOFTWARE, TASK_CLOCK)
    except CountError as error:  # as where a container forbids the call
        pytest.skip(f"no event can be opened: {error}")


def spin(steps=200_000):
    for _ in range(steps):
        pass
    return steps


def test_an_event_counts_what_a_call_uses():
    counter = open_clock()
    result, one = counter.count(spin)
    _, ten = counter.count(lambda: [spin() for _ in range(10)])
    counter.close()
    assert result == 200_000 and 0 < one < ten


def test_the_attributes_are_those_of_the_kernel():
    packed = kernel.pack_attributes(kernel.HARDWARE, kernel.INSTRUCTIONS)
    kind, size, config = struct.unpack_from("=IIQ", packed)
    (read_format, flags) = struct.unpack_from("=QQ", packed, 32)
    assert (kind, size, config, len(packed)) == (0, 112, 1, 112)  # PERF_ATTR_SIZE_VER5
    assert read_format == 1 | 2
    inherit, exclude_user, exclude_kernel, exclude_hv = (flags >> bit & 1 for bit in (1, 4, 5, 6))
    assert (inherit, exclude_user, exclude_kernel, exclude_hv) == (1, 0, 1, 1)


def test_an_event_that_is_not_there_is_refused_with_a_reason():
    with pytest.raises(CountError, match=r"."):
        kernel.KernelCounter(SOFTWARE, NO_SUCH)


def test_a_count_of_a_part_of_the_time_is_none():
    reading = struct.Struct("=QQQ")
    assert kernel.difference(reading.pack(5, 10, 10), reading.pack(105, 30, 30)) == 100
    with pytest.raises(CountError, match="during 50% of the call"):
        kernel.difference(reading.pack(5, 10, 10), reading.pack(105, 30, 20))


def test_without_any_counter_the_reasons_are_named(monkeypatch):
    monkeypatch.setattr(kernel, "find_obstacle", lambda: "none here")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(UsageError) as caught:
        choose.need_counter()
    told = str(caught.value)
    assert "kernel: none here; valgrind: valgrind is not installed" in told and "apt install valgrind" in told
    assert "\n" not in told
    assert choose.diagnose_counter().state == "unknown"


def test_the_kernels_counter_is_preferred(monkeypatch):
    monkeypatch.setattr(kernel, "find_obstacle", lambda: None)
    assert choose.need_counter() == "kernel"
    assert choose.diagnose_counter().found == "counted by the kernel"


@pytest.mark.parametrize("said", ["valgrind-3.9.0", "nonsense"])
def test_a_valgrind_that_cannot_do_it_is_named(said, tmp_path, monkeypatch):
    program = tmp_path / "valgrind"
    program.write_text(f"#!/bin/sh\necho {said}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    with pytest.raises(CountError, match=f"{said}, wanted 3.13 or later"):
        valgrind.find_program()


def test_outside_of_valgrind_no_request_is_made(tmp_path):
    script = "import sys; from harness.measure.instructions.choose import open_counter; open_counter('valgrind', '.')"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)
    assert "this process does not run under valgrind" in done.stderr


@needs_valgrind
def test_valgrind_counts_work_of_all_threads_and_repeats_itself(tmp_path):
    command = [*valgrind.make_prefix(find_valgrind(), tmp_path), sys.executable, "-c", COUNTED, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert not done.returncode, done.stderr
    found = json.loads(done.stdout)
    short, long, thread = (found[name][-1] for name in ("short", "long", "thread"))
    assert 1.9 < long / short < 2.1 and long < thread < 1.5 * long + 200_000
    assert max(found["nothing"]) < 5_000 < short
    assert found["result"] == 7
    assert not list(tmp_path.glob("counts.*"))  # dumps are read and removed
