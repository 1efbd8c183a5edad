"""Arms on the command line: what is read, under which name, and what is refused."""

import subprocess
import sys
from pathlib import Path

import pytest

import harness
from harness.errors import UsageError
from harness.machine.threads import THREAD_VARIABLES
from harness.plan.arm import Arm, Environment, check_settings, parse_arm, parse_arms

ROOT = Path(harness.__file__).parents[1]


@pytest.mark.parametrize(
    ("text", "backend", "revision", "interpreter"),
    [
        ("im2col", "im2col", "", ""),
        ("im2col@v1.2", "im2col", "v1.2", ""),
        ("im2col@origin/main~3", "im2col", "origin/main~3", ""),
        ("im2col@HEAD@{1 day ago}", "im2col", "HEAD@{1 day ago}", ""),
        ("im2col@@~1", "im2col", "@~1", ""),
        ("torch@env:/opt/old", "torch", "", "/opt/old"),
        ("torch@env:./a=b@c", "torch", "", "./a=b@c"),
        ("torch@HEAD@{1}@env:~/new", "torch", "HEAD@{1}", "~/new"),
        ("dying:crashes@abc123", "dying:crashes", "abc123", ""),
    ],
)
def test_an_arm_without_a_label_is_called_by_its_text(text, backend, revision, interpreter):
    environment = Environment(revision=revision, interpreter=interpreter)
    assert parse_arm(text) == Arm(name=text, backend=backend, environment=environment)
    assert environment.elsewhere == (text != backend)


def test_what_is_installed_elsewhere_or_built_is_told_apart():
    assert parse_arm("mine@installed:/opt/old").environment == Environment(interpreter="/opt/old", installed=True)
    assert parse_arm("mine@v1@installed:/o").environment == Environment(revision="v1", interpreter="/o", installed=True)
    assert parse_arm("mine@main@build:").environment == Environment(revision="main", build=True)
    assert parse_arm("mine@main@build:cpu,dev").environment == Environment(
        revision="main", build=True, extras="cpu,dev"
    )
    for text in (
        "mine@installed:/opt/old",
        "mine@main@build:",
        "mine@main@build:cpu,dev",
        "mine@build",
        "mine@installed",
    ):
        assert parse_arm(text).text == text
    assert parse_arm("mine@v1@build:cpu").environment.libraries == "@build:cpu"
    assert parse_arm("mine@v1@env:/opt/old").environment.libraries == "@env:/opt/old"
    assert parse_arm("mine@v1").environment.libraries == parse_arm("mine").environment.libraries == ""
    assert parse_arm("mine@build").environment == Environment(revision="build")


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        ("torch@set:ONEDNN_MAX_CPU_ISA=AVX2", (("ONEDNN_MAX_CPU_ISA", "AVX2"),)),
        ("torch@set:A=1,B=2", (("A", "1"), ("B", "2"))),
        ("torch@set:NPY=AVX2,FMA3,B=", (("NPY", "AVX2,FMA3"), ("B", ""))),
        ("torch@set:A=x=y z/w", (("A", "x=y z/w"),)),
        ("torch@v1@env:/opt/old@set:A=1", (("A", "1"),)),
        ("torch@v1@build:cpu@set:A=1", (("A", "1"),)),
    ],
)
def test_settings_stand_last_and_are_part_of_the_name(text, settings):
    arm = parse_arm(text)
    assert (arm.name, arm.text, arm.environment.settings) == (text, text, settings)
    assert arm.environment.place == parse_arm(text.partition("@set:")[0]).environment
    assert parse_arm(f"mine={text}").environment == arm.environment


def test_settings_may_be_given_one_by_one_and_are_no_other_place():
    arm = parse_arm("torch@set:A=1@set:B=2")
    assert arm.environment.settings == (("A", "1"), ("B", "2"))
    assert not arm.environment.elsewhere
    assert arm.environment.libraries == "@set:A=1,B=2"  # other arithmetic is another history


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("torch@set:", "'' behind '@set:' has no '='"),
        ("torch@set:FOO", "'FOO' behind '@set:' has no '='"),
        ("torch@set:=1", "'' is no name of an environment variable"),
        ("torch@set:1A=1", "'1A' is no name of an environment variable"),
        ("torch@set:A=1,A=2", "A is set twice"),
        ("torch@set:A=1@env:/opt/old", "'1@env:/opt/old' is no value of A; '@set:' stands last"),
        ("@set:A=1", "no name of a backend"),
    ],
)
def test_settings_that_cannot_be_read_are_one_line(text, why):
    with pytest.raises(UsageError) as caught:
        parse_arm(text)
    assert why in str(caught.value)
    assert "with @set:NAME=VALUE behind it" in str(caught.value)


def test_what_the_harness_sets_itself_is_refused():
    arm = parse_arm("torch@set:OMP_NUM_THREADS=2")
    check_settings([arm], ())
    with pytest.raises(UsageError, match=r"OMP_NUM_THREADS is set by the harness in this run.*--threads"):
        check_settings([arm], THREAD_VARIABLES)
    with pytest.raises(UsageError, match="PYTHONPATH is set by the harness"):
        check_settings([parse_arm("torch@set:PYTHONPATH=/x")], ())


@pytest.mark.parametrize("body", ["im2col", "im2col@v1", "torch@env:/a=b", "torch@v1@env:/opt/old"])
def test_a_label_changes_the_name_alone(body):
    plain, labelled = parse_arm(body), parse_arm(f"base={body}")
    assert labelled.name == "base"
    assert (labelled.backend, labelled.environment) == (plain.backend, plain.environment)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no name of a backend"),
        ("@v1", "no name of a backend"),
        ("@env:/opt/old", "no name of a backend"),
        ("im 2col@v1", "no name of a backend"),
        ("base=", "no name of a backend"),
        ("im2col@", "no revision after '@'"),
        ("im2col@@env:/opt/old", "no revision after '@'"),
        ("im2col@--all", "no revision after '@'"),
        ("im2col@env:", "no path after '@env:'"),
        ("im2col@installed:", "no path after '@installed:'"),
        ("im2col@build:", "no revision that could be built"),
        ("=im2col", "label '' is not a word"),
        ("the base=im2col", "label 'the base' is not a word"),
        ("a/b=im2col", "label 'a/b' is not a word"),
    ],
)
def test_what_is_no_arm_is_refused_with_the_reason(text, why):
    with pytest.raises(UsageError) as caught:
        parse_arm(text)
    message = str(caught.value)
    assert message.startswith(f"arm: got '{text}' (")
    assert why in message
    assert "wanted BACKEND, BACKEND@REVISION" in message


def test_one_backend_twice_in_one_environment_needs_labels():
    with pytest.raises(UsageError, match=r"got the name 'im2col' 2 times.*such as a=im2col"):
        parse_arms(["im2col", "torch", "im2col"])
    a, b = parse_arms(["a=im2col", "b=im2col"])
    assert (a.name, b.name) == ("a", "b")
    assert (a.backend, a.environment) == (b.backend, b.environment)


def test_labels_must_differ_too():
    with pytest.raises(UsageError, match="got the name 'a' 2 times"):
        parse_arms(["a=im2col", "a=torch"])


def test_reading_arms_imports_nothing_heavy():
    code = "import sys, harness.plan.arm; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "harness.plan.arm" in done.stdout.split()
    assert not {"numpy", "msgspec", "pluggy", "subprocess"} & set(done.stdout.split())


def test_a_copy_of_the_checkout_is_written_like_the_checkout():
    copied = Environment(command="make", package="native")
    assert copied.copied and copied.elsewhere and copied.text == ""
    built = Environment(build=True, extras="fast")
    assert built.copied and built.elsewhere and built.text == "" and built.libraries == "@build:fast"
    revision = Environment(revision="main", build=True, command="make")
    assert revision.elsewhere and not revision.copied and revision.text == "@main@build:"
