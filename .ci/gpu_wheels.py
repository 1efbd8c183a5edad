"""Fill a folder with wheels of what a machine without a network may lack (`make gpu-wheels`)."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from gpucheck.requirements import (
    ROOT,
    SMALLER,
    WHEELS,
    is_provided,
    name_of,
    packaging,
    read_needs,
    read_requirements,
)

PYTHONS = ("3.11", "3.12")
GLIBCS = (39, 35, 34, 31, 28, 27, 26, 24, 17, 12, 5)
OLD = ("manylinux2014", "manylinux2010", "manylinux1")
MOST_MIB = 60


def main() -> int:
    """Refill the folder; return 2 if a package cannot be downloaded or the folder is unusable or would be too large."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=WHEELS)
    parser.add_argument("--python", action="append", metavar="3.N", help="may be repeated; default: 3.11 and 3.12")
    parser.add_argument("--most-mib", type=float, default=MOST_MIB)
    options = parser.parse_args()
    if reason := refuse_folder(options.folder):
        print(f"error: {reason}", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as name:
        made = Path(name)
        for python in options.python or PYTHONS:
            try:
                download_all(made, python)
            except subprocess.CalledProcessError as error:
                print(f"error: pip ended with {error.returncode} for CPython {python}, see above", file=sys.stderr)
                return 2
        wheels = sorted(made.glob("*.whl"), key=lambda path: -path.stat().st_size)
        if reason := find_fault(wheels, options.most_mib):
            print(f"error: {reason}", file=sys.stderr)
            return 2
        options.folder.mkdir(parents=True, exist_ok=True)
        for old in options.folder.glob("*.whl"):
            old.unlink()
        for wheel in wheels:
            shutil.copy(wheel, options.folder)
        print(f"{len(wheels)} wheels, {mib(wheels):.1f} MiB in {options.folder}")
    return 0


def refuse_folder(folder: Path) -> str:
    """Return why a folder cannot be emptied and refilled; "" if it can."""
    if folder.is_file() or (folder.is_dir() and any(path.suffix != ".whl" for path in folder.iterdir())):
        return f"folder: got '{folder}', wanted a new one, or one that holds wheels alone; choose another: --folder"
    return ""


def mib(wheels: list[Path]) -> float:
    """Return the total size of the wheels in MiB."""
    return sum(path.stat().st_size for path in wheels) / 2**20


def find_fault(wheels: list[Path], most_mib: float) -> str:
    """Return why these wheels (largest first) must not be carried; "" if they may."""
    names = {path: str(packaging("utils").parse_wheel_filename(path.name)[0]) for path in wheels}
    if wrong := [path.name for path, name in names.items() if is_provided(name)]:
        return f"wheels: got {', '.join(wrong)}, which the machine brings itself; correct PROVIDED or the requirements"
    if mib(wheels) > most_mib:
        largest = ", ".join(f"{path.name.split('-')[0]} {path.stat().st_size / 2**20:.1f}" for path in wheels[:4])
        return (
            f"wheels: got {mib(wheels):.1f} MiB, wanted at most {most_mib:g}; "
            f"the largest in MiB: {largest}; leave one Python out (--python 3.12), or pin smaller versions (SMALLER)"
        )
    return ""


def download_all(folder: Path, python: str) -> None:
    """Download all wheels for one Python: the requirements, and their requirements in turn."""
    todo, seen = read_requirements(), set[str]()
    while todo := [text for text in todo if wanted(text, python) and name_of(text) not in seen]:
        seen |= {name_of(text) for text in todo}
        with tempfile.TemporaryDirectory() as name:
            download(todo, Path(name), python)
            fresh = [Path(shutil.copy(path, folder)) for path in Path(name).glob("*.whl")]
        todo = [need for path in fresh for need in read_needs(path)]


def wanted(text: str, python: str) -> bool:
    """Return True if a requirement applies to this Python on Linux and the machine does not provide it."""
    one = packaging("requirements").Requirement(text)
    places = {
        "python_version": python, "python_full_version": f"{python}.0", "sys_platform": "linux", "os_name": "posix",
        "platform_system": "Linux", "platform_machine": "x86_64", "implementation_name": "cpython",
        "platform_python_implementation": "CPython", "extra": "",
    }  # fmt: skip
    return not is_provided(name_of(text)) and (one.marker is None or bool(one.marker.evaluate(places)))


def download(requirements: list[str], folder: Path, python: str) -> None:
    """Let pip download wheels for CPython on x86-64. Raises CalledProcessError.

    requirements: their texts, with or without markers.
    folder: of the wheels.
    python: version, such as 3.12.
    Versions are those of constraints.txt, except for those of SMALLER.
    """
    plain = [text.partition(";")[0].strip() for text in requirements]
    kinds = [f"manylinux_2_{minor}_x86_64" for minor in GLIBCS] + [f"{name}_x86_64" for name in OLD]
    platforms = [word for kind in kinds for word in ("--platform", kind)]
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    target = ["--only-binary=:all:", "--implementation", "cp", "--python-version", python, *platforms]
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as constraints:
        constraints.write("\n".join(constrain(ROOT / "constraints.txt")))
        constraints.flush()
        rest = ["--constraint", constraints.name, "--dest", str(folder)]
        subprocess.run([*pip, *target, *rest, *plain], check=True)


def constrain(path: Path) -> list[str]:
    """Return the lines of a constraints file, with versions replaced by those of SMALLER."""
    lines = (line.strip() for line in path.read_text().splitlines())
    kept = [line for line in lines if line and not line.startswith("#") and name_of(line) not in SMALLER]
    return [*kept, *(f"{name}=={version}" for name, version in SMALLER.items())]


if __name__ == "__main__":
    sys.exit(main())
