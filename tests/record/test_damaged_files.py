"""A damaged file is one clear line, whichever loader reads it; tests/benchmarks/bench_loaders.py tries many more."""

import pytest

from harness.errors import HarnessError
from tests.benchmarks.bench_loaders import make_loaders, try_loader

NAMES = ("header", "history", "accepted", "archive", "blessings", "qualification", "problems", "benchmarks", "corpus")
DEEP = (b"[" * 100_000, b'{"format":' * 100_000)
ODD = (b'{"format": 5, "created": "\xff"}', b'{"format": ' + b"9" * 5000 + b"}", b"")


@pytest.fixture
def loaders(tmp_path, monkeypatch):
    monkeypatch.setenv("HARNESS_STATE_DIR", str(tmp_path / "state"))
    return {loader.name: loader for loader in make_loaders(tmp_path)}


@pytest.mark.parametrize("name", NAMES)
def test_damage_of_every_kind_is_refused_in_one_line_or_read(loaders, name):
    counts, faults = try_loader(loaders[name], 40, seed=1)
    assert not faults
    assert counts["refused"] > 10


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("archive", "corpus")])
def test_what_json_cannot_hold_is_refused(loaders, name):
    loader = loaders[name]
    loader.path.parent.mkdir(parents=True, exist_ok=True)
    for content in DEEP if name == "accepted" else (*DEEP, *ODD):  # which has no required field
        loader.path.write_bytes(content)
        with pytest.raises(HarnessError) as raised:
            loader.load()
        assert "\n" not in str(raised.value)
