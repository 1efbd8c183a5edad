"""The kill matrix as it is made: in workers, law by law."""

from dataclasses import replace

import pytest

from harness.experiments.kill_matrix import make_matrix
from suites.geometries import correctness_problems
from tests.conftest import FAULTY

LAWS = ("tap-probe", "input-adjoint", "linear-in-the-input")


@pytest.fixture
def registry(registry):
    """With a suite `correctness` of the chosen problems alone: the others take seconds to make."""
    small = replace(registry.suites["correctness"], problems=correctness_problems)
    return replace(registry, suites={**registry.suites, "correctness": small})


@pytest.mark.slow  # commands of tests/cli/test_killmatrix.py name one each
def test_matrix_names_killers_and_survivors(registry, tmp_path):
    said = []
    matrix = make_matrix(
        registry, ["faulty:flipped-everywhere", "faulty:max-grad-overwrites", "right"], LAWS, tmp_path, plugins=FAULTY,
        watch=lambda fault, what, tried: said.append((fault, what)),
    )  # fmt: skip
    assert matrix.killers("faulty:flipped-everywhere") == ("tap-probe",)  # consistent, so that no adjoint notices
    assert matrix.survivors == ("faulty:max-grad-overwrites", "right")
    assert said[0] == ("faulty:flipped-everywhere", "caught by 1")
    assert said[1] == ("faulty:max-grad-overwrites", "SURVIVES")
    kill = matrix.kills["tap-probe", "faulty:flipped-everywhere"]
    assert kill.outcome == "failed"
    assert kill.problem.startswith("conv ")


def test_quick_stops_at_the_first_killer(registry, tmp_path):
    matrix = make_matrix(registry, ["faulty:flipped"], LAWS, tmp_path, plugins=FAULTY, quick=True)
    assert len(matrix.killers("faulty:flipped")) == 1
    assert not matrix.complete


def test_a_fault_that_crashes_is_caught_and_the_next_law_gets_a_fresh_worker(registry, tmp_path):
    from tests.conftest import DYING

    matrix = make_matrix(registry, ["dying:exits-on-gradients"], LAWS, tmp_path, plugins=(*FAULTY, DYING))
    assert matrix.killers("dying:exits-on-gradients") == ("input-adjoint",)
    assert matrix.kills["input-adjoint", "dying:exits-on-gradients"].outcome == "crashed"


def test_workers_end_where_an_application_raises(registry, tmp_path, monkeypatch):
    from harness.execution.worker_supervisor import WorkerSupervisor

    closed = []
    close = WorkerSupervisor.close

    def raise_at_once(self, cell, formula):
        raise RuntimeError("told to")

    def note(self):
        closed.append(self.backend)
        close(self)

    monkeypatch.setattr(WorkerSupervisor, "check", raise_at_once)
    monkeypatch.setattr(WorkerSupervisor, "close", note)
    try:
        make_matrix(registry, ["right"], LAWS, tmp_path, plugins=FAULTY, jobs=1)
    except RuntimeError as error:  # its traceback holds the frame, so that no garbage collector closes anything
        assert str(error) == "told to" and closed == ["right"]
    else:
        raise AssertionError("nothing was raised")
