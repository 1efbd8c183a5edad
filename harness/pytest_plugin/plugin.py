"""The pytest plugin `conv-harness`: `pytest --harness-suite correctness --harness-backend mine` runs cells as tests.

Every pytest of its environment loads this module, so nothing else is imported until a suite is selected.
"""

from __future__ import annotations

import pytest

NAME = "harness-cells"  # of the plugin that does the work
OPTIONS = {
    "suite": ("NAME", "Run the cells of this suite as tests; may be repeated."),
    "backend": ("NAME", "Only this backend; may be repeated. Default: all."),
    "problem": ("LINE", "This problem line instead of the suite's; may be repeated."),
    "law": ("NAME", "Only this law; may be repeated."),
    "plugin": ("MODULE|FILE.py", "Load one more plugin of the harness; may be repeated."),
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --harness-suite and related options.

    Each has an ini option in the plural, which the command line replaces.
    """
    group = parser.getgroup("harness", "conv-harness: laws and times of backends as tests")
    for name, (metavar, text) in OPTIONS.items():
        group.addoption(
            f"--harness-{name}", action="append", default=[], metavar=metavar, dest=f"harness_{name}s", help=text
        )
        parser.addini(f"harness_{name}s", f"{text} One a line.", type="linelist", default=[])
    text = "Threads of every library in a cell. Default: as they are."
    group.addoption("--harness-threads", type=int, metavar="N", dest="harness_threads", help=text)
    parser.addini("harness_threads", text, default="")


def pytest_configure(config: pytest.Config) -> None:
    """Plan the cells if a suite is selected."""
    config.addinivalue_line("markers", "harness: a cell of a suite of conv-harness")
    suites = config.getoption("harness_suites") or config.getini("harness_suites")
    if not suites or config.pluginmanager.hasplugin(NAME):
        return
    from harness.pytest_plugin.collection import open_collection

    config.pluginmanager.register(open_collection(config), NAME)
