import os
import re
import signal
import subprocess
import sys
import tempfile
import threading

import pytest

from harness.errors import UsageError
from harness.measure.device_lock import (
    DeviceBusyError,
    Holder,
    hold_device,
    inherited_token,
    lease_folder,
    lock_path,
    read_holder,
    write_holder,
)
from harness.measure.tickets import take_ticket
from tests.conftest import ROOT

HOLD = """
import sys
from harness.measure.device_lock import hold_device
with hold_device(sys.argv[1], None, print):
    print("held", flush=True)
    sys.stdin.readline()
"""
INTRUDE = """
import os, sys, time
from harness.measure.device_lock import hold_device
for _ in range(3):
    with hold_device("cpu", None, lambda line: None):
        os.close(os.open(sys.argv[1], os.O_CREAT | os.O_EXCL))  # fails if somebody else is inside
        time.sleep(0.02)
        os.unlink(sys.argv[1])
"""
ENTER = """
from harness.measure.device_lock import DeviceBusyError, hold_device
try:
    with hold_device("cpu", 0, print) as lease:
        print("inside", lease.inherited)
except DeviceBusyError:
    print("busy")
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HARNESS_LEASE_DIR", str(tmp_path / "leases"))
    monkeypatch.delenv("HARNESS_LEASE", raising=False)
    return tmp_path / "leases"


def start(script, *arguments, **variables):
    return subprocess.Popen(
        [sys.executable, "-c", script, *arguments], cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)} | variables,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def said_by(process):
    return process.communicate(timeout=600)[0].strip()


@pytest.fixture
def holder():
    """Another process that holds `cpu` until it is killed or reads a line."""
    process = start(HOLD, "cpu")
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def refuse(line):
    raise AssertionError(f"nothing was to be waited for: {line}")


def test_processes_never_overlap_inside_the_lease(tmp_path):
    intruders = [start(INTRUDE, str(tmp_path / "inside")) for _ in range(3)]
    for intruder in intruders:
        intruder.communicate(timeout=600)
    assert [intruder.returncode for intruder in intruders] == [0, 0, 0]


def test_a_time_out_names_the_holder_and_says_once_who_it_is(holder):
    said = []
    with pytest.raises(DeviceBusyError) as caught, hold_device("cpu", 0.5, said.append):
        pass
    text = str(caught.value)
    assert caught.value.exit_code == 4
    who = rf"pid {holder.pid} \(`python\S* -c .*`\) since \d\d:\d\d"
    assert re.match(rf"device cpu is held by {who}; waited \d+ s; wait", text)
    assert text.endswith("wait longer with --lease-wait or stop it")
    assert "\n" not in text
    assert said == [f"device cpu is held by {read_holder(lock_path('cpu'))}; waiting"]


def test_a_killed_holder_frees_the_lease_though_its_name_stays(holder):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert read_holder(lock_path("cpu")).pid == holder.pid
    with hold_device("cpu", 0, refuse):
        assert read_holder(lock_path("cpu")).pid == os.getpid()
    assert read_holder(lock_path("cpu")) is None


def test_one_who_waits_gets_the_lease_when_the_holder_ends(holder):
    said = []

    def end_it(line):
        said.append(line)
        print(file=holder.stdin, flush=True)

    with hold_device("cpu", 60, end_it) as lease:
        assert not lease.inherited
    assert len(said) == 1


def test_other_devices_are_free(holder):
    with hold_device("cuda-GPU-0c1d", 0, refuse) as lease:
        assert lease.device == "cuda-GPU-0c1d"


def test_a_child_with_its_parents_token_enters_at_once():
    with hold_device("cpu", 0, refuse), hold_device("cuda-1", 0, refuse):
        assert said_by(start(ENTER)) == "inside True"
    assert "HARNESS_LEASE" not in os.environ
    assert said_by(start(ENTER)) == "inside False"


@pytest.mark.parametrize("token", ["cpu:0123", "cpu:", "cpu", "cuda-1:{right}", ":{right}", ""])
def test_a_wrong_token_does_not_enter(holder, token):
    right = read_holder(lock_path("cpu")).token
    assert said_by(start(ENTER, HARNESS_LEASE=token.format(right=right))) == "busy"
    assert said_by(start(ENTER, HARNESS_LEASE=f"cuda-1:0,cpu:{right}")) == "inside True"


def test_the_token_of_a_killed_holder_is_worth_nothing(holder, monkeypatch):
    stale = read_holder(lock_path("cpu"))
    holder.kill()
    holder.wait()
    successor = start(HOLD, "cpu")
    try:
        assert successor.stdout.readline() == "held\n"
        monkeypatch.setenv("HARNESS_LEASE", f"cpu:{stale.token}")
        with pytest.raises(DeviceBusyError, match=f"pid {successor.pid} "), hold_device("cpu", 0, refuse):
            pass
        # the same, had the successor not yet come to write its own name
        lock_path("cpu").with_suffix(".holder").write_text(
            f'{{"pid":{stale.pid},"command":"gone","since":{stale.since},"token":"{stale.token}"}}'
        )
        with pytest.raises(DeviceBusyError), hold_device("cpu", 0, refuse):
            pass
    finally:
        successor.kill()
        successor.communicate()


def test_the_thread_that_holds_enters_again_and_another_thread_waits():
    outcomes = []

    def enter():
        try:
            with hold_device("cpu", 0, refuse):
                outcomes.append("inside")
        except DeviceBusyError:
            outcomes.append("busy")

    with hold_device("cpu", 0, refuse) as outer:
        with hold_device("cpu", 0, refuse) as inner:
            assert (inner.inherited, inner.token) == (True, outer.token)
        assert inherited_token("cpu") == outer.token
        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
    enter()
    assert outcomes == ["busy", "inside"]


def test_an_error_inside_gives_the_lease_back():
    with pytest.raises(ZeroDivisionError), hold_device("cpu", 0, refuse):
        raise ZeroDivisionError
    assert said_by(start(ENTER)) == "inside False"


@pytest.mark.parametrize("record", ["", "{", '{"pid": 1}', "[]"])
def test_an_unreadable_record_is_nobodys_name(holder, record):
    lock_path("cpu").with_suffix(".holder").write_text(record)
    with pytest.raises(DeviceBusyError, match="held by a process that has not said its name"):
        hold_device("cpu", 0, refuse).__enter__()


def test_all_users_can_use_the_files(folder):
    before = os.umask(0o077)
    try:
        with hold_device("cpu", 0, refuse):
            modes = {path.name: path.stat().st_mode & 0o7777 for path in (folder, *folder.iterdir())}
    finally:
        os.umask(before)
    assert modes == {"leases": 0o1777, "cpu.lock": 0o666, "cpu.holder": 0o666}


def test_a_record_is_not_written_through_a_link(folder, tmp_path):
    target = tmp_path / "precious"
    target.write_text("kept")
    path = lock_path("cpu")
    path.with_suffix(".holder").symlink_to(target)
    with pytest.raises(UsageError, match="lease folder"):
        write_holder(path, "token")
    assert target.read_text() == "kept"


@pytest.mark.parametrize("device", ["", "../cpu", "cpu:1", "a,b", "-x"])
def test_a_device_that_is_no_file_name_is_refused(device):
    with pytest.raises(UsageError, match="device: got"):
        lock_path(device)


def test_a_folder_that_cannot_be_used_is_named(tmp_path, monkeypatch):
    file = tmp_path / "file"
    file.touch()
    for place in (file, file / "below"):
        monkeypatch.setenv("HARNESS_LEASE_DIR", str(place))
        with pytest.raises(UsageError, match=rf"lease folder {place}: .*set HARNESS_LEASE_DIR"):
            lock_path("cpu")


def test_the_folder_does_not_follow_what_a_user_sets_for_temporary_files(monkeypatch, tmp_path):
    monkeypatch.delenv("HARNESS_LEASE_DIR")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # as TMPDIR would have it
    assert lease_folder().name == "harness-leases"
    assert tmp_path not in lease_folder().parents


def test_a_holder_of_another_day_is_named_with_its_date():
    assert str(Holder(pid=7, command="x", since=0.0, token="t")).startswith("pid 7 (`x`) since 19")


# --- the queue ----------------------------------------------------------------------------------------------------

QUEUE = """
import sys
from harness.measure.device_lock import hold_device
with hold_device("cpu", None, lambda line: print(line, flush=True)):
    with open(sys.argv[1], "a") as order:
        order.write(sys.argv[2] + "\\n")
"""


def count_tickets(folder):
    return len(list(folder.glob("cpu.*.ticket")))


def line_up(folder, order, names):
    """Start processes that wait for the device, one after the other; return them and what each says first."""
    found, said = [], []
    for name in names:
        found.append(start(QUEUE, str(order), name))
        said.append(found[-1].stdout.readline())  # it has its ticket, and has seen who holds the device
    assert count_tickets(folder) == len(names)
    return found, said


def test_processes_get_the_lease_in_the_order_in_which_they_came(folder, holder, tmp_path):
    order = tmp_path / "order"
    waiting, said = line_up(folder, order, "abcd")
    holder.communicate("\n")
    for process in waiting:
        process.communicate()
    assert order.read_text().split() == list("abcd")
    assert all(f"device cpu is held by pid {holder.pid} (`python" in line for line in said)
    assert "and 3 before this process wait for it; waiting" in said[3]
    assert count_tickets(folder) == 0


def test_the_ticket_of_a_killed_process_is_passed(folder, holder, tmp_path):
    order = tmp_path / "order"
    waiting, _ = line_up(folder, order, "abc")
    waiting[1].kill()
    waiting[1].communicate()
    assert count_tickets(folder) == 3  # it is still there, and counts for nothing
    holder.communicate("\n")
    for process in (waiting[0], waiting[2]):
        process.communicate()
    assert order.read_text().split() == ["a", "c"]
    assert count_tickets(folder) == 0


def test_a_newcomer_does_not_overtake_who_is_next(folder, tmp_path):
    with take_ticket("cpu", lock_path("cpu").parent):
        assert said_by(start(ENTER)) == "busy"
        with pytest.raises(
            DeviceBusyError, match=rf"device cpu is next for pid {os.getpid()} \(`.*`\) since .*; waited"
        ):
            hold_device("cpu", 0, refuse).__enter__()
    assert said_by(start(ENTER)) == "inside False"


def test_a_process_that_waits_says_for_how_long(holder, monkeypatch):
    monkeypatch.setattr("harness.measure.device_lock.SAY_S", 0.0)
    said = []

    def end_it(line):
        said.append(line)
        if len(said) == 3:
            print(file=holder.stdin, flush=True)

    with hold_device("cpu", 600, end_it):
        pass
    assert re.fullmatch(rf"device cpu is held by pid {holder.pid} \(`.*`\) since \S+; waiting", said[0])
    assert re.fullmatch(rf"device cpu is held by pid {holder.pid} .*; waiting for \d+ s", said[2])
