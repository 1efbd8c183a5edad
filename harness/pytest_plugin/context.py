"""Context of a cell in a pytest session: plugins, the header of the run, threads."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from harness.backend.base import Backend
from harness.plan.cell import Cell
from harness.plugins.manager import Registry
from harness.record.run import Header
from harness.worker.host.answer import State, answer
from harness.worker.protocol import Ready, Start


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Data shared by the cells of one session.

    header: of the run that they would make.
    threads: number of threads; None leaves it to the libraries.
    reasons: by backend, why it cannot run here, None if it can; filled when its first cell runs.
    """

    registry: Registry
    header: Header
    threads: int | None
    reasons: dict[str, str | None] = field(default_factory=dict)

    def backend(self, cell: Cell) -> Backend:
        """Return the backend of a cell."""
        return self.registry.backend(cell.backend)

    @contextmanager
    def keep_steady(self, backend: str) -> Iterator[str | None]:
        """Isolate a cell from the repository's warning filters, and set the number of threads.

        Yields the reason why the backend cannot run here, None if it can.
        """
        with ExitStack() as stack:
            stack.enter_context(warnings.catch_warnings())
            warnings.simplefilter("default")
            if backend not in self.reasons:  # before threads are set, as the probe loads the libraries
                start = Start(plugins=(), extra=(), backend=backend)
                ready = answer(State(registry=self.registry, start=start), start)
                assert isinstance(ready, Ready)
                self.reasons[backend] = ready.reason
            if self.threads is not None:
                from threadpoolctl import threadpool_limits

                from harness.laws.threads import limit_threads

                stack.enter_context(threadpool_limits(self.threads))
                stack.enter_context(limit_threads(self.registry.backend(backend), self.threads))
            yield self.reasons[backend]
