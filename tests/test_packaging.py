"""Declarations for installing: dependencies, locks, types, development, and the actions of workflows."""

import re
import tomllib

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.conftest import ROOT, SOURCES

DECLARED = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT, GROUPS = DECLARED["project"], DECLARED["dependency-groups"]
EXTRAS = PROJECT["optional-dependencies"]
UNLOCKED = {"torch", "cuda", "jax"}  # builds that depend on the machine (docs/installation.md)
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def read_pins(name):
    """Versions by package in a file of NAME==VERSION lines, and the text that follows each."""
    found = {}
    for match in re.finditer(
        r"^([\w.-]+)==([\w.]+)([^\\\n]*(?:\\\n[^\\\n]*)*)$", (ROOT / name).read_text(), re.MULTILINE
    ):
        found[canonicalize_name(match[1])] = (match[2], match[3])
    return found


def flatten(group):
    """Requirements of a dependency group and of the groups that it includes."""
    for one in GROUPS[group]:
        yield from flatten(one["include-group"]) if isinstance(one, dict) else (one,)


def assert_pinned(requirements, pins):
    """Each requirement is pinned, to a version that it allows."""
    for text in requirements:
        one = Requirement(text)
        version, _ = pins[canonicalize_name(one.name)]
        assert one.specifier.contains(version, prereleases=True), f"{text} got {version}"


@pytest.mark.parametrize("file", ["constraints.txt", "requirements.lock"])
def test_every_dependency_is_pinned(file):
    pins = read_pins(file)
    assert_pinned(PROJECT["dependencies"], pins)
    for extra in EXTRAS.keys() - UNLOCKED:
        assert_pinned(EXTRAS[extra], pins)
    for group in GROUPS:
        assert_pinned(flatten(group), pins)


@pytest.mark.parametrize("file", ["requirements.lock", "requirements-worker.lock"])
def test_locks_have_hashes_and_the_versions_of_the_constraints(file):
    pins, constraints = read_pins(file), read_pins("constraints.txt")
    for name, (version, rest) in pins.items():
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", rest), name
        if "sys_platform == 'win32'" not in rest:
            assert constraints[name][0] == version, f"{name}: run make lock"


def test_the_lock_of_workers_has_their_needs_and_nothing_of_the_command():
    pins = read_pins("requirements-worker.lock")
    assert pins.keys() == {canonicalize_name(name) for name in EXTRAS["worker"]}  # none of them needs another package
    assert EXTRAS["worker"] == sorted(EXTRAS["worker"])


def test_every_package_says_that_it_has_types():
    data = DECLARED["tool"]["setuptools"]["package-data"]
    for package in ("harness", "backends", "suites", "reports"):
        assert (SOURCES / package / "py.typed").is_file()
        assert "py.typed" in data[package]


def test_tools_of_development_are_no_extra():
    published = {canonicalize_name(Requirement(text).name) for texts in EXTRAS.values() for text in texts}
    assert not published & {"pytest", "ruff", "mypy", "coverage", "pre-commit", "uv", "build"}


def test_each_classified_version_is_tested():
    (tests,) = (path for path in WORKFLOWS if path.name == "test.yml")
    jobs = yaml.safe_load(tests.read_text())["jobs"]
    classified = [line.rpartition(" ")[2] for line in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", line)]
    for job in ("types", "test"):
        assert jobs[job]["strategy"]["matrix"]["python"] == classified


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_given_by_commit(path):
    """A tag can be moved; the comment says which release the commit is."""
    used = re.findall(r"uses: (.*)", path.read_text())
    assert used
    for action in used:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action), action


def test_an_action_has_one_commit_everywhere():
    used = {action for path in WORKFLOWS for action in re.findall(r"uses: (.*)", path.read_text())}
    names = [action.partition("@")[0] for action in used]
    assert len(names) == len(set(names)), sorted(used)


def test_types_are_checked_everywhere_and_without_exceptions():
    config = DECLARED["tool"]["mypy"]
    packages = ["harness", "backends", "suites", "reports"]
    assert config.keys() == {"python_version", "strict", "files", "warn_unreachable", "overrides"}
    assert config["strict"] is config["warn_unreachable"] is True and config["files"] == packages
    for override in config["overrides"]:  # libraries without types, and none of ours
        assert override.keys() == {"module", "ignore_missing_imports"}
        assert not {name.partition(".")[0] for name in override["module"]} & set(packages)
    for path in (path for package in packages for path in (SOURCES / package).rglob("*.py")):
        text = path.read_text()
        assert not re.search(r"#\s*mypy:|no_type_check|type:\s*ignore(?!\[)", text), f"{path} is left unchecked in part"
