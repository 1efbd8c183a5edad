"""The shared memory of the judge and the backend's process: its size is fixed, and arrays lie inside."""

import fcntl
import os

import pytest

from harness.worker.wire.arena import Arena, ArenaError, Placed, create_file


@pytest.fixture
def file():
    file = create_file()
    yield file
    os.close(file)


@pytest.mark.parametrize("size", [0, 4096, 2**50])
def test_no_process_changes_the_size_of_the_memory(file, size):
    """A judge that reads beyond the end of a file ends by SIGBUS."""
    before = os.fstat(file).st_size
    with pytest.raises(PermissionError):
        os.ftruncate(file, size)
    assert os.fstat(file).st_size == before > 0


def test_no_process_seals_the_memory_against_writing(file):
    with pytest.raises(PermissionError):
        fcntl.fcntl(file, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE)
    Arena(file).memory[:4] = b"1234"


@pytest.mark.parametrize(
    "placed",
    [
        Placed(0, (2**40,), (0,), "float32"),
        Placed(-4, (1,), (4,), "float32"),
        Placed(0, (4,), (-4,), "float32"),
        Placed(2**62, (1,), (4,), "float32"),
        Placed(0, (-1,), (4,), "float32"),
        Placed(0, (2**62, 2**62), (4, 4), "float32"),
        Placed(0, (1,), (4,), "object"),
    ],
)
def test_an_array_lies_inside_and_is_not_larger(file, placed):
    with pytest.raises(ArenaError):
        Arena(file).view(placed)


def test_an_array_inside_is_read(file):
    arena = Arena(file)
    arena.view(Placed(8, (2, 3), (12, 4), "float32"))[...] = 5
    assert arena.view(Placed(8, (3,), (4,), "float32")).tolist() == [5, 5, 5]
