"""The anchor of all laws: the float64 reference."""

from __future__ import annotations

from harness import BackendUnderTest, Deviation, Problem, law
from harness.laws import NotExactError, check_answers, is_exact, make_check
from harness.problems import make_arrays, reference


@law(tolerance="bound", when=lambda problem: True, role="reference")
def agrees_with_reference(subject: BackendUnderTest, problem: Problem) -> Deviation:
    """|operator(arrays) - float64 reference| <= bound of the declared class; == on whole numbers.

    Asked of the plain method and of the prepared call, twice, so that what is timed is what is checked. Both get the
    same arrays; where the prepared call is the plain method, it is called once.
    """
    arrays = make_arrays(problem)
    wanted, numerics = reference.compute(problem, arrays), subject.numerics()
    if problem.data == "subnormal" and not is_exact(problem, numerics, arrays):
        raise NotExactError(f"{subject.backend.name} promises nothing about subnormals ({numerics.algorithm})")
    with subject.together():
        devices = subject.devices(problem, arrays)
        prepared, plain = subject.prepare_devices(problem, devices), subject.plain(problem, devices)
        calls = (prepared, prepared, plain) if subject.plans else (prepared, plain)
        answers = subject.fetch_all([(call, call.run()) for call in calls])
    return check_answers(make_check(problem, numerics, arrays, wanted), answers)
