"""Surroundings of a search: interrupts, requests, and the caches of Hypothesis."""

import contextlib
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness import UsageError
from harness.experiments.fuzz_session import FuzzRequest, SilentFuzzing, fuzz_backends, remember_interrupts


def test_an_interrupt_that_was_dropped_is_raised_again():
    before = signal.getsignal(signal.SIGINT)
    with remember_interrupts() as raise_again:
        raise_again()  # none came yet
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            raise_again()
    assert signal.getsignal(signal.SIGINT) == before


def test_what_an_interrupt_leaves_half_done_is_told_as_the_interrupt():
    """Hypothesis may turn an interrupt into an error of its own when it comes between two of its steps."""
    with pytest.raises(KeyboardInterrupt), remember_interrupts():
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        raise AssertionError("half done")


def test_an_error_without_an_interrupt_stays_what_it_is():
    with pytest.raises(AssertionError, match="own"), remember_interrupts():
        raise AssertionError("its own")


def test_a_thread_that_gets_no_interrupts_installs_no_handler():
    def ask():
        with remember_interrupts() as raise_again:
            raise_again()
            return signal.getsignal(signal.SIGINT)

    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(ask).result() == signal.getsignal(signal.SIGINT)


@pytest.mark.parametrize(
    ("request_of", "words"),
    [
        ({"backends": ()}, "backends: got none"),
        ({"backends": ("trch",)}, "did you mean 'torch'"),
        ({"backends": ("fft@HEAD",)}, "backend: got 'fft@HEAD'"),
        ({"seconds": 0}, "seconds: got 0, wanted a number above 0"),
        ({"seconds": float("nan")}, "seconds: got nan"),
        ({"seconds": "60s"}, "seconds: got '60s'"),
        ({"examples": 0}, "examples: got 0, wanted a whole number of at least 1"),
        ({"examples": 2.5}, "examples: got 2.5"),
        ({"seed": -1}, "seed: got -1"),
        ({"laws": ("tap",)}, "unknown law: got 'tap'"),
        ({"operators": ("konv",)}, "unknown operator: got 'konv'"),
        ({"dtypes": ("float8",)}, "unknown dtype: got 'float8'"),
        ({"corpus": __file__}, "is a file, wanted a folder"),
    ],
)
def test_a_request_that_cannot_be_used_is_refused_before_anything_runs(registry, request_of, words):
    class Watch(SilentFuzzing):
        def begin(self, seed):
            raise AssertionError("it began")

    with pytest.raises(UsageError, match=words):
        fuzz_backends(registry, FuzzRequest(**{"backends": ("fft",), **request_of}), Watch())
