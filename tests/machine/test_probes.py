import os
import subprocess
import sys

import pytest

from harness.machine.probes import (
    Ticks,
    make_steps,
    parse_ticks,
    probe_frequency,
    probe_jitter,
    probe_timer,
    steal_share,
    summarise_jitter,
    watch_activity,
)

STAT = "cpu  100 5 20 900 30 2 3 40 50 6\ncpu0 50 2 10 450 15 1 1 20 25 3\n"


def test_guests_count_as_user_time_only_once():
    assert parse_ticks(STAT) == Ticks(busy=130, idle=930, steal=40)


@pytest.mark.parametrize("text", [None, "", "cpu 1 2 3", "cpu0 1 2 3 4 5 6 7 8", "cpu a b c d e f g h"])
def test_what_is_no_line_of_ticks_is_none(text):
    assert parse_ticks(text) is None


def test_steal_is_a_share_of_the_time_asked_for_and_not_of_idle_time():
    begin, end = Ticks(busy=100, idle=0, steal=10), Ticks(busy=190, idle=10_000, steal=20)
    assert steal_share(begin, end) == pytest.approx(0.1)
    assert steal_share(begin, begin) == 0.0


def test_jitter_is_relative_to_the_median_and_drift_is_of_the_halves():
    found = summarise_jitter([100] * 89 + [150] * 10 + [400])
    assert (found.median_ns, found.p90, found.p99, found.drift) == (100.0, 1.5, 4.0, 0.0)
    assert summarise_jitter([100] * 50 + [130] * 50).drift == pytest.approx(0.3)
    assert summarise_jitter([200] * 50 + [100] * 50).drift == pytest.approx(-0.5)


def test_the_probes_of_this_machine_give_sensible_values():
    found = probe_jitter(0.01)
    assert found.median_ns > 0
    assert 1 <= found.p90 <= found.p99
    assert probe_timer() > 0
    assert make_steps(1) >= 1
    assert all(mhz > 0 for mhz in probe_frequency(0.01))


def test_the_own_work_is_not_that_of_others():
    with watch_activity() as seen:
        probe_jitter(0.5)
    (activity,) = seen
    most = 1.04 * os.cpu_count()  # each core counts in ticks of 10 ms: at either end it may count one too many
    assert activity.others_cores is None or 0 <= activity.others_cores <= most
    assert activity.steal is None or 0 <= activity.steal <= 1


def test_a_busy_process_is_seen_by_name_and_among_all_others():
    with watch_activity() as seen:
        # its work is a fixed number of ticks that the system must count, however long that takes
        busy = "import time\nwhile time.process_time() < 0.3: pass\nprint(flush=True); input()"
        child = subprocess.Popen([sys.executable, "-c", busy], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        child.stdout.readline()
    child.communicate("\n")
    (activity,) = seen
    cores = [share for name, share in activity.busiest if name.startswith("python")]
    assert max(cores) > 0
    assert activity.others_cores is None or activity.others_cores > 0
    assert [share for _, share in activity.busiest] == sorted((s for _, s in activity.busiest), reverse=True)
