"""Shared libraries for tests, built from C by the system's compiler."""

import shutil
import subprocess
from pathlib import Path

import pytest

from harness.backend.compiled.header import HEADER

EXAMPLES = Path(__file__).parents[3] / "examples"
COMPILER = shutil.which("cc")
needs_compiler = pytest.mark.skipif(COMPILER is None, reason="no C compiler: the command cc is not found")
COPY = """
#include <string.h>
#include "harness_backend.h"

static const char *copy(const harness_problem *p, const harness_arrays *a, void *plan) {
    int64_t length = p->n * p->o * p->out[0] * p->out[1] * p->out[2];
    (void)plan, (void)length;
    BODY
    return 0;
}
EXTRA
static const harness_backend backend = {
    .abi = HARNESS_ABI, .size = sizeof(harness_backend),
    .description = DESCRIPTION, OPERATORS MEMBERS
};
const harness_backend *harness_get_backend(void) { return &backend; }
"""
NAMED = '{"name": "copy", "dtypes": ["float32"]}'
WHOLE = "memcpy(a->y, a->x, 4 * length);"


def build(folder, source, name="mine"):
    """Compile C source into a shared library, and return its path."""
    text, library = folder / f"{name}.c", folder / f"{name}.so"
    text.write_text(source)
    command = [COMPILER, "-O1", "-Wall", "-shared", "-fPIC", "-I", HEADER.parent, text, "-o", library, "-lm"]
    subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True)
    return library


def build_copy(folder, *, body=WHOLE, description=NAMED, extra="", members="", operators=".conv = copy,"):
    """Build a backend whose convolution copies x, which is right for a kernel of one tap that is 1."""
    quoted = '"' + description.replace('"', '\\"') + '"' if description is not None else "0"
    source = COPY.replace("BODY", body).replace("EXTRA", extra).replace("MEMBERS", members)
    return build(folder, source.replace("DESCRIPTION", quoted).replace("OPERATORS", operators))
