"""Keys of many parts are refused before the reader of TOML, whose time grows with their square."""

import pytest

from harness.cli.settings import read_settings
from harness.errors import UsageError
from harness.execution.environment_build import parse_pyproject
from harness.machine.holder import read_record
from harness.machine.toml import MOST_PARTS, DeepKeyError, parse_toml


def _nest(parts):
    return f"[tool.harness]\n{'.'.join(['a'] * parts)} = 1\n"


def test_a_key_has_a_limit_of_parts():
    assert parse_toml(_nest(MOST_PARTS))["tool"]["harness"]["a"]
    with pytest.raises(DeepKeyError, match=f"a key of more than {MOST_PARTS} parts"):
        parse_toml(_nest(200_000))


def test_every_reader_of_settings_has_it(tmp_path):
    (tmp_path / "pyproject.toml").write_text(_nest(200_000))
    with pytest.raises(UsageError, match=r"cannot be read \(it has a key of more than 64 parts"):
        read_settings(tmp_path)
    assert parse_pyproject(_nest(200_000)) == {}


@pytest.mark.parametrize("since", ["1e300", "NaN", "null", '"x"', "9" * 5000])
def test_a_record_with_a_date_that_does_not_exist_is_none(tmp_path, since):
    path = tmp_path / "writer.json"
    path.write_text(f'{{"pid":7,"command":"x","since":{since}}}')
    assert read_record(path) is None
    path.write_bytes(b'{"pid":7,"command":"x","since":1.0}' + b" " * 2**16)
    assert read_record(path) is None
    path.write_text('{"pid":7,"command":"x","since":1.7e9}')
    assert "pid 7" in str(read_record(path))
