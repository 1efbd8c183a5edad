"""The library of an array: NumPy itself for its own arrays, so that no other part of it is imported."""

import subprocess
import sys

import numpy as np
import pytest

from harness.problems import find_namespace

DERIVED = """
import sys
import numpy as np
from harness.backend.routing import find_route
from harness.laws.subject import BackendUnderTest
from harness.plugins.manager import load_plugins
from harness.problems import make_arrays
from harness.problems.line import parse_line

backend = load_plugins().backends["im2col"]
problem = parse_line("conv_transpose x=2x4x6 w=4x3x3 bias stride=2 data=integer")
assert find_route(backend, problem).kind == "derived"
BackendUnderTest(backend, problem).run(problem, make_arrays(problem))
print("numpy.f2py" in sys.modules, "numpy.testing" in sys.modules)
"""


def test_a_derivation_on_numpy_arrays_imports_no_other_part_of_numpy():
    done = subprocess.run([sys.executable, "-c", DERIVED], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_the_library_of_an_array_has_the_functions_of_the_array_api():
    assert find_namespace(np.zeros(3)) is np
    assert find_namespace(np.zeros(3)[0]) is np
    torch = pytest.importorskip("torch")
    xp = find_namespace(torch.zeros(2, 3))
    assert tuple(xp.permute_dims(torch.zeros(2, 3), (1, 0)).shape) == (3, 2)  # which torch itself lacks
