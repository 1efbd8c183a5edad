"""Every fault of docs/findings.md shows in the library that it names, by a short program without the harness."""

import re
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

from suites.known_bugs import known_bugs

TEXT = (Path(__file__).parents[1] / "docs" / "findings.md").read_text(encoding="utf-8")
PACKAGES = {"PyTorch": "torch", "ONNX Runtime": "onnxruntime", "OpenVINO": "openvino", "JAX": "jax", "ncnn": "ncnn"}
TABLE = re.findall(r"^\| ([A-Z][\w ]+|ncnn) \| (\S+) \| (\d+) \| ", TEXT, re.M)
VERSIONS = {library: number for library, number, _ in TABLE}
PATIENCE_S = 600  # of all programs of a library
UNDEFINED = {"openvino-no-channels-lose-the-bias"}  # prints what lies in memory that was never written
LONGEST = 10  # lines of a program, without blank ones


@dataclass(frozen=True)
class Finding:
    """A fault: its library, its program, what that prints or the signal that ends it, and what was wanted."""

    name: str
    library: str
    rows: tuple[str, ...]
    program: str
    prints: str
    signal: str
    wanted: str


def read_findings():
    found = []
    for part in re.split(r"^## ", TEXT, flags=re.M)[1:]:
        library, *sections = re.split(r"^### ", part, flags=re.M)
        for section in sections:
            row = re.search(r"Row: ((?:[^.]|\.(?=\S))+)\.$", section, re.M)[1]
            end = re.search(r"^(?:Prints `(.*)`|Ends with (SIG\w+)), wanted `(.*)`\.$", section, re.M)
            found.append(
                Finding(
                    name=section.split("\n", 1)[0],
                    library=library.strip(),
                    rows=() if row == "none" else (row,),
                    program=re.search(r"```python\n(.*?)```", section, re.S)[1],
                    prints=end[1] or "",
                    signal=end[2] or "",
                    wanted=end[3],
                )
            )
    return found


FINDINGS = read_findings()


def skip_without(library):
    package, wanted = PACKAGES[library], VERSIONS[library]
    try:
        have = version(package)
    except PackageNotFoundError:
        pytest.skip(f"{package} is not installed")
    if have.partition("+")[0] != wanted:
        pytest.skip(f"{package} is {have}, and the faults were seen with {wanted}")


def test_the_table_counts_the_findings_of_each_library():
    counted = {library: sum(one.library == library for one in FINDINGS) for library in PACKAGES}
    assert counted == {library: int(number) for library, _, number in TABLE}
    assert len(FINDINGS) == TEXT.count("```python") == len({one.name for one in FINDINGS})


@pytest.mark.parametrize("finding", FINDINGS, ids=lambda one: one.name)
def test_a_program_is_short_and_without_the_harness(finding):
    assert len([line for line in finding.program.splitlines() if line.strip()]) <= LONGEST
    assert not re.search(r"\b(harness|backends|suites)\b", finding.program)
    assert finding.prints != finding.wanted


@pytest.mark.parametrize("finding", [one for one in FINDINGS if one.rows], ids=lambda one: one.name)
def test_a_row_that_is_named_stands_in_the_table_of_known_bugs(finding):
    assert set(finding.rows) <= {bug.id for bug in known_bugs()}


@pytest.mark.slow  # imports a library in a process of its own
@pytest.mark.parametrize("library", PACKAGES)
def test_the_programs_of_a_library_print_what_is_written(library):
    """One process for all of a library that return, as importing takes longer than they do."""
    skip_without(library)
    asked = [one for one in FINDINGS if one.library == library and not one.signal]
    calls = [f"exec({one.program!r}, {{}})\nprint({one.name!r})" for one in asked]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", "\n".join(calls)], capture_output=True, text=True, timeout=PATIENCE_S
    )
    assert done.returncode == 0, done.stderr[-2000:]
    rest = done.stdout
    for one in asked:
        printed, rest = rest.split(f"\n{one.name}\n", 1)
        assert printed != one.wanted if one.name in UNDEFINED else printed == one.prints
    assert not rest


@pytest.mark.parametrize("finding", [one for one in FINDINGS if one.signal], ids=lambda one: one.name)
def test_a_program_ends_by_the_signal_that_is_written(finding):
    import signal

    skip_without(finding.library)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", finding.program], capture_output=True, timeout=PATIENCE_S
    )
    assert done.returncode == -getattr(signal, finding.signal)
