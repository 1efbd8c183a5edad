"""A damaged file is one clear line, whichever loader reads it; tests/benchmarks/bench_loaders.py tries many more."""

import io
import os
import zipfile

import pytest

from harness.errors import HarnessError
from harness.experiments.kill_record import FILE as KILLS
from harness.experiments.kill_record import open_record, refuse_unfinished
from harness.machine import files
from harness.measure.device_lock import read_holder
from harness.record.archive import MARK, read_archive
from harness.record.directory import JOURNAL, read_run
from harness.record.journal import MOST_DAMAGED, seal_line
from harness.record.reopening import reopen_run
from harness.record.run import FORMAT, Header
from tests.benchmarks.bench_loaders import try_file, try_loader
from tests.damage.kinds import BYTES
from tests.damage.loaders import make_loaders

NAMES = (
    "header", "journal", "report", "older", "header-read", "archive", "accepted", "parquet", "history", "blessings",
    "qualification", "problems", "benchmarks", "claims",
    "corpus", "pyproject", "lease", "plugin", "memory", "group", "onnx", "lines", "settings", "kills", "seal", "writer",
    "ticket",
)  # fmt: skip
STRICT = ("header", "blessings", "qualification", "problems", "benchmarks")  # one JSON document that must be right
DEEP = (b"[" * 100_000, b'{"format":' * 100_000)
ODD = (b'{"format": 5, "created": "\xff"}', b'{"format": ' + b"9" * 5000 + b"}", b"")
PLACES = ("folder", "dangling link", "link to itself", "pipe", "endless device", "nothing")


@pytest.fixture
def loaders(tmp_path, monkeypatch):
    monkeypatch.setenv("HARNESS_STATE_DIR", str(tmp_path / "state"))
    return {loader.name: loader for loader in make_loaders(tmp_path)}


def _find(loaders, name):
    if name not in loaders:
        pytest.skip("onnx is not installed")
    loader = loaders[name]
    loader.path.parent.mkdir(parents=True, exist_ok=True)
    return loader


def test_every_loader_is_tried(loaders):
    assert set(NAMES) >= set(loaders) >= {*NAMES} - {"onnx"}


@pytest.mark.parametrize("name", NAMES)
def test_damage_of_every_kind_is_refused_in_one_line_or_read(loaders, name):
    loader = _find(loaders, name)
    counts, faults = try_loader(loader, range(4 if loader.slow else 40), seed=1)
    assert not faults
    assert name in ("journal", "onnx") or loader.silent or loader.slow or counts["refused"] > 10


@pytest.mark.parametrize("name", STRICT)
def test_what_json_cannot_hold_is_refused(loaders, name):
    loader = _find(loaders, name)
    for content in (*DEEP, *ODD):
        loader.path.write_bytes(content)
        with pytest.raises(HarnessError) as raised:
            loader.load()
        assert "\n" not in str(raised.value)


NO_FILES = ("plugin", "memory", "group", "kills")  # read by others; what opens `kills` is asked below


@pytest.mark.parametrize("name", [name for name in NAMES if name not in NO_FILES])
def test_what_is_no_file_is_refused_and_not_waited_for(loaders, name, monkeypatch):
    monkeypatch.setattr(files, "MOST_STREAM_BYTES", 2**16)
    loader = _find(loaders, name)
    for place in PLACES:
        _put(loader.path, place)
        assert try_file(loader, show=True) in ("read", "refused"), place


@pytest.mark.parametrize("place", PLACES)
def test_a_kill_matrix_and_a_run_go_on_with_files_alone(tmp_path, place):
    header = Header(
        format=FORMAT, run="a" * 32, created="", command="", suites=(), arm_names=(), cells=0, environment={}
    )  # fmt: skip
    _put(tmp_path / KILLS, place)
    _put(tmp_path / JOURNAL, place)
    for load in (
        lambda: refuse_unfinished(tmp_path),
        lambda: open_record(tmp_path, ("one",), {}, "", resume=True),
        lambda: reopen_run(tmp_path, header),
    ):
        with pytest.raises(HarnessError) as raised:
            load()
        assert "\n" not in str(raised.value)


def _put(path, place):
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    path.unlink(missing_ok=True)
    match place:
        case "folder":
            path.mkdir()
        case "dangling link":
            path.symlink_to("not-there")
        case "link to itself":
            path.symlink_to(path)
        case "pipe":
            os.mkfifo(path)
        case "endless device":
            path.symlink_to("/dev/zero")


def test_a_silent_pipe_and_a_large_file_are_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "WAIT_S", 0.01)
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = os.open(path, os.O_RDWR)
    with pytest.raises(TimeoutError, match="nothing came for"):
        files.read_file(path)
    os.write(writer, b"some")
    with pytest.raises(TimeoutError):  # some, but not the end
        files.read_file(path)
    os.close(writer)
    (tmp_path / "large").write_bytes(b"12345")
    with pytest.raises(OSError, match="it has more than"):
        files.read_file(tmp_path / "large", 4)
    assert files.read_file(tmp_path / "large", 5) == b"12345"


@pytest.mark.parametrize(
    "entry",
    [
        b'{"type":"arm","arm":"a","backend":"b","reason":null,"versions":{},"process":{"backends":true}}',
        b'{"type":"end","ending":{"complete":"perhaps"}}',
        b'{"type":"pass","cell":0,"samples":[]}',
    ],
)
def test_a_line_that_says_what_no_run_has_is_damaged(loaders, entry):
    loader = _find(loaders, "journal")
    lines = loader.content.splitlines()
    loader.path.write_bytes(b"".join(line + b"\n" for line in (*lines, seal_line(entry, len(lines) + 1))))
    (damage,) = read_run(loader.path.parent).damage
    assert f"line {len(lines) + 1} is damaged" in damage


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"loops":10', b'"loops":0'),
        (b'"count":3', b'"count":0'),
        (b'"count":3', b'"count":4'),
        (b'"samples_ns":[', b'"samples_ns":[-1.0,'),
        (b'"samples_ns":[', b'"samples_ns":["nan",'),
        (b'"process":100', b'"process":18446744073709551615'),
    ],
)
def test_a_pass_that_cannot_have_been_measured_is_damaged(loaders, old, new):
    loader = _find(loaders, "journal")
    lines = loader.content.splitlines()
    place = next(n for n, line in enumerate(lines) if old in line)
    lines[place] = seal_line(lines[place].replace(old, new, 1).partition(b',"line":')[0] + b"}", place + 1)
    loader.path.write_bytes(b"".join(line + b"\n" for line in lines))
    (damage,) = read_run(loader.path.parent).damage
    assert damage.startswith(f"line {place + 1} is damaged (probably a pass of cell")


def test_a_journal_of_rubbish_is_not_read_to_its_end(loaders):
    loader = _find(loaders, "journal")
    loader.path.write_bytes(loader.content + b"x\n\n" * (MOST_DAMAGED + 100))
    run = read_run(loader.path.parent)
    assert len(run.damage) == MOST_DAMAGED + 1 and run.damage[-1].endswith("too many before are damaged")
    assert run.results and not run.complete


def test_an_archive_that_grows_beyond_measure_is_refused(tmp_path):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.comment = MARK + b"1"
        archive.writestr("header.json", b"{}")
        archive.writestr("journal.jsonl", bytes(2**26))
    (tmp_path / "one.run").write_bytes(made.getvalue())
    with pytest.raises(HarnessError, match="times its size, wanted at most 200"):
        read_archive(tmp_path / "one.run")


def test_an_archive_whose_end_was_moved_is_refused(tmp_path, loaders):
    loader = _find(loaders, "archive")
    end = loader.content.rindex(b"PK\x05\x06")
    loader.path.write_bytes(loader.content[end:] + loader.content[:end] + loader.content[end:])
    assert try_file(loader) in ("read", "refused")
    loader.path.write_bytes(loader.content[end:])  # so that the members would lie before the beginning of the file
    with pytest.raises(HarnessError, match="it is no baseline, or was damaged or cut short"):
        loader.load()


@pytest.mark.parametrize("since", ["1e300", "-1e300", "true", "null"])
def test_the_record_of_a_holder_may_be_anything(tmp_path, since):
    (tmp_path / "cpu.holder").write_text(f'{{"pid":1,"command":"c","since":{since},"token":"t"}}')
    assert read_holder(tmp_path / "cpu") is None


def test_kinds_of_damage_are_all_drawn():
    assert len(set(BYTES)) == 10
