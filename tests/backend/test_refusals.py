"""Exception types by which a backend's library refuses."""

import pytest

from harness import Backend, GeometryError, UsageError
from harness.backend.refusals import is_refusal


class LacksError(Exception):
    pass


class Lacking(Backend):
    name = "lacking"
    types = (LacksError, NotImplementedError)

    def conv(self, x, w, b, window):
        return x

    def refusal_types(self):
        return self.types


def test_named_types_are_refusals_and_others_are_not():
    assert is_refusal(Lacking(), LacksError("no")) and is_refusal(Lacking(), NotImplementedError())
    assert not is_refusal(Lacking(), ValueError("no"))
    assert not is_refusal(Lacking(), GeometryError("no"))
    assert not is_refusal(Lacking(), KeyboardInterrupt())


@pytest.mark.parametrize(
    "types", [(ValueError,), (Exception,), (BaseException,), (GeometryError,), ("LacksError",), [], LacksError]
)
def test_types_that_stand_for_other_errors_are_refused(types):
    backend = Lacking()
    backend.types = types
    with pytest.raises(UsageError, match="wanted a tuple of exception types"):
        is_refusal(backend, LacksError("no"))
