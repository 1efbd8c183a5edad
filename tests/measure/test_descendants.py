import os
import subprocess
import sys
import textwrap

import pytest

from harness.measure.descendants import end_descendants, find_descendants
from harness.measure.processor_time import is_gone

NOBODY = 65534
ENDING = """
import os, sys, time
from harness.measure.descendants import end_descendants
child = os.fork()
if not child:
    time.sleep(60)
    os._exit(0)
os.setuid(int(sys.argv[1]))  # no longer the user who may end the child
print(child, end_descendants(os.getpid(), limit_s=0.1))
"""


@pytest.fixture
def family():
    """A process whose child, in a session of its own, ignores what it can."""
    script = "import os, signal, sys, time; os.setsid(); signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
    start = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {script!r}]); print(flush=True); input()"
    process = subprocess.Popen([sys.executable, "-c", start], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    process.stdout.readline()
    yield process
    process.communicate()


def test_all_descendants_are_ended_and_nothing_is_said(family, capfd):
    (child,) = find_descendants(family.pid)
    assert end_descendants(family.pid) == []
    assert is_gone(child)
    assert not is_gone(family.pid)
    assert capfd.readouterr().err == ""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start a process that its own parent may not end")
def test_what_does_not_end_is_named():
    command = [sys.executable, "-c", textwrap.dedent(ENDING), str(NOBODY)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        child, left = process.stdout.readline().split(maxsplit=1)
        os.kill(int(child), 9)  # it holds the pipes open
        said = process.stderr.read()
    assert left.strip() == f"[{child}]"
    assert f"got {child} (PID) still there after 0.1 s of SIGKILL, wanted none" in said
