"""Fuzzing as a function."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.analysis.fuzz_report import FuzzReport
from harness.api.arguments import refuse_text
from harness.api.comparing import load_all
from harness.experiments.fuzz_corpus import DEFAULT_FOLDER
from harness.experiments.fuzz_session import FuzzRequest, FuzzWatch, SilentFuzzing, fuzz_backends


def fuzz(
    *backends: str, seconds: float | None = None, examples: int | None = None, laws: Sequence[str] = (),
    operators: Sequence[str] = (), dtypes: Sequence[str] = (), seed: int | None = None,
    corpus: str | Path = DEFAULT_FOLDER, plugins: Sequence[str] = (), without: Sequence[str] = (),
    watch: FuzzWatch | None = None,
) -> FuzzReport:  # fmt: skip
    """Search for problems on which backends break laws, as `python -m harness fuzz`; `.findings` has them reduced.

    backends: names, or arms with settings such as "torch@set:ONEDNN_MAX_CPU_ISA=AVX2".
    seconds: for all backends together; by default 60, or no limit where `examples` is given.
    examples: number of problems to draw for each backend. laws, operators, dtypes: names; only these.
    seed: draws the same problems again, with the same code; by default a random one, which `.seed` has.
    corpus: folder of the failing cases, which are replayed first, and to which new ones are added.
    plugins: modules or ./files.py to load; without: plugins to leave out. watch: observer of the progress.
    `.exit_code` is that of the command.
    Raises UsageError for a name, a limit or a corpus that cannot be used, before anything runs.
    """
    refuse_text(laws=laws, operators=operators, dtypes=dtypes, plugins=plugins, without=without)
    request = FuzzRequest(
        backends=backends, seconds=seconds, examples=examples, laws=laws, operators=operators, dtypes=dtypes,
        seed=seed, corpus=corpus, plugins=plugins,
    )  # fmt: skip
    return fuzz_backends(load_all(plugins, without), request, watch or SilentFuzzing())
