"""Repositories in which a recipe of continuous integration gates a change: what changed, and what the gate must say.

Every scenario is a bare repository with the branches `main` and `change`, and a clone that stands at `change` as a job
of continuous integration finds it: on no branch, with main known as origin/main.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.gating.plugin_text import format_plugin
from tests.gating.twenty import PROJECT, git

LINES = {
    "plain": "conv x=4x3x16 w=5x3x3",
    "half": "conv x=4x3x16 w=5x3x3 dtype=float16",
    "double": "conv x=4x3x16 w=5x3x3 dtype=float64",
    "last": "conv x=4x3x16 w=5x3x3 layout=channels-last",
    "large": "conv x=16x8x512 w=16x8x3",
}
PLUGIN = format_plugin(
    "import kernels", {"conv(self, x, w, b, window)": "kernels.conv(x, w)"}, LINES,
    checked=("plain", "half", "double", "last"), timed=("large",),
)  # fmt: skip
CONV = '''"""Convolutions of one axis with NumPy."""

import numpy as np

AGAIN = 0  # how often the work is done in vain


def conv(x, w):
    """y[n, o, p] = sum over c, k of x[n, c, p + k] w[o, c, k]; stride 1, no padding."""
    for _ in range(AGAIN):
        _conv(x, w)
    return _conv(x, w)


def _conv(x, w):
    wide = np.float64 if x.dtype == np.float64 else np.float32
    windows = np.lib.stride_tricks.sliding_window_view(x.astype(wide), w.shape[2], axis=2)
    return np.tensordot(windows, w.astype(wide), ((1, 3), (1, 2))).transpose(0, 2, 1).astype(x.dtype)
'''
COMPILED_CONV = '''"""Convolutions of one axis, compiled for float32."""

import numpy as np

from kernels import plain


def conv(x, w):
    """y[n, o, p] = sum over c, k of x[n, c, p + k] w[o, c, k]; stride 1, no padding."""
    if x.dtype != np.float32:
        return plain.conv(x, w)
    x, w = np.ascontiguousarray(x), np.ascontiguousarray(w)
    y = np.zeros((len(x), len(w), x.shape[2] - w.shape[2] + 1), np.float32)
    call(x, w, y)
    return y


'''
BY_EXTENSION = '''def call(x, w, y):
    """Fill y, in a module that setuptools compiles."""
    from kernels import _fast

    _fast.conv(x, w, y, *x.shape, len(w), w.shape[2])
'''
BY_CTYPES = '''def call(x, w, y):
    """Fill y, in a library that make compiles."""
    import ctypes
    from pathlib import Path

    library = ctypes.CDLL(str(Path(__file__).with_name("libkernels.so")))
    pointers = (ctypes.c_void_p(one.ctypes.data) for one in (x, w, y))
    library.conv(*pointers, *map(ctypes.c_long, (*x.shape, len(w), w.shape[2])))
'''
C = """void conv(const float *x, const float *w, float *y, long n, long c, long l, long o, long k) {
    for (long i = 0; i < n; i++)
        for (long m = 0; m < o; m++)
            for (long p = 0; p + k <= l; p++)
                for (long q = 0; q < c; q++)
                    for (long t = 0; t < k; t++)
                        y[(i * o + m) * (l - k + 1) + p] += x[(i * c + q) * l + p + t] * w[(m * c + q) * k + t];
}
"""
C_WRONG = C.replace("t < k;", "t + 1 < k;")
MODULE = """#include <Python.h>
void conv(const float *x, const float *w, float *y, long n, long c, long l, long o, long k);

static PyObject *call(PyObject *self, PyObject *args) {
    Py_buffer x, w, y;
    long n, c, l, o, k;
    if (!PyArg_ParseTuple(args, "y*y*w*lllll", &x, &w, &y, &n, &c, &l, &o, &k)) return NULL;
    conv(x.buf, w.buf, y.buf, n, c, l, o, k);
    PyBuffer_Release(&x); PyBuffer_Release(&w); PyBuffer_Release(&y);
    Py_RETURN_NONE;
}
static PyMethodDef methods[] = {{"conv", call, METH_VARARGS, "Fill y."}, {NULL, NULL, 0, NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_fast", NULL, -1, methods, NULL, NULL, NULL, NULL};
PyMODINIT_FUNC PyInit__fast(void) { return PyModule_Create(&module); }
"""
SETUP = """from setuptools import Extension, setup

setup(ext_modules=[Extension("kernels._fast", ["kernels/module.c", "kernels/conv.c"])])
"""
MAKEFILE = "kernels/libkernels.so: kernels/conv.c\n\tcc -O1 -shared -fPIC -o $@ $<\n"
INIT = '"""Kernels."""\n\nfrom kernels.plain import conv\n'
INIT_COMPILED = INIT.replace("kernels.plain", "kernels.compiled")
FILES = {
    "pyproject.toml": PROJECT, "kernels/__init__.py": INIT, "kernels/plain.py": CONV, "kernels/plugin.py": PLUGIN,
}  # fmt: skip
TIMED = FILES | {"pyproject.toml": f"{PROJECT}\n[tool.harness]\nthreads = 1\n"}  # a call never waits for another core
EXTENSION = FILES | {
    "setup.py": SETUP, "kernels/__init__.py": INIT_COMPILED, "kernels/compiled.py": COMPILED_CONV + BY_EXTENSION,
    "kernels/conv.c": C, "kernels/module.c": MODULE, ".gitignore": "*.so\nbuild\n*.egg-info\n",
}  # fmt: skip
MADE = FILES | {
    "pyproject.toml": f'{PROJECT}\n[tool.harness]\nbuild-command = "make"\n', "Makefile": MAKEFILE,
    "kernels/__init__.py": INIT_COMPILED, "kernels/compiled.py": COMPILED_CONV + BY_CTYPES, "kernels/conv.c": C,
    ".gitignore": "*.so\n",
}  # fmt: skip
LAWS = "--plugin kernels.plugin --suite kernels-laws"
TIMES = f"{LAWS} --suite kernels-speed"


def _wrong_where(condition):
    """The kernels, with answers that are wrong where a condition on x holds."""
    return CONV.replace("    return _conv(x, w)\n", f"    y = _conv(x, w)\n    return 2 * y if {condition} else y\n")


WRONG = {"kernels/plain.py": _wrong_where("True")}


def _move(files, folder):
    return {f"{folder}/{name}": text for name, text in files.items()}


def _clone(origin, folder, *options):
    git(folder.parent, "clone", "--quiet", *options, f"file://{origin}", str(folder))
    git(folder, "switch", "--quiet", "--detach", "origin/change")


def clone_whole(origin, folder):
    """Clone with the history of all branches."""
    _clone(origin, folder)


def clone_shallow(origin, folder):
    """Clone the last commit of the change alone, as jobs do that do not ask for the history."""
    _clone(origin, folder, "--depth", "1", "--branch", "change")


def clone_with_submodules(origin, folder):
    """Clone with the submodules that the change names."""
    _clone(origin, folder, "--config", "protocol.file.allow=always")
    git(folder, "-c", "protocol.file.allow=always", "submodule", "--quiet", "update", "--init")


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A change, and what the gate must say of it.

    base, change: files of main, and files as the change has them (None: removed). options: of the gate, in `OPTIONS`.
    codes: exit codes of the gate, of which a machine that cannot tell in time has the second. said: what its output
    matches. builds: True if pip makes environments. clone: how the job gets the repository. submodule: folder in which
    a submodule has the kernels. installs: folder of the package that the job installs in editable form; "" for none.
    """

    name: str
    base: dict[str, str]
    change: dict[str, str | None]
    codes: tuple[int, ...]
    said: str
    options: str = LAWS
    builds: bool = False
    clone: Callable[[Path, Path], None] = clone_whole
    submodule: str = ""
    installs: str = ""


SCENARIOS = (
    Scenario(
        name="clean change", base=TIMED, change={"kernels/plain.py": CONV + "# Windows are views.\n"}, options=TIMES,
        codes=(0, 5), said=r"passed: neither slower nor wrong|cannot tell: ",
    ),
    Scenario(
        name="slower", base=TIMED, change={"kernels/plain.py": CONV.replace("AGAIN = 0", "AGAIN = 4")}, options=TIMES,
        codes=(3, 5), said=r"failed: 1 SLOWER|cannot tell: ",
    ),
    Scenario(
        name="wrong in one dtype", base=FILES, change={"kernels/plain.py": _wrong_where("x.dtype == np.float16")},
        codes=(1,), said=r"failed: 1 BROKEN; kernels, agrees-with-reference, conv [^:]*dtype=float16",
    ),
    Scenario(
        name="wrong in channels-last only", base=FILES,
        change={"kernels/plain.py": _wrong_where("not x.flags.c_contiguous")},
        codes=(1,), said=r"failed: 1 BROKEN; kernels, agrees-with-reference, conv [^:]*layout=channels-last",
    ),
    Scenario(
        name="renamed backend", base=FILES, change={"kernels/plugin.py": PLUGIN.replace('= "kernels"', '= "quick"')},
        codes=(3,), said=r"failed: backend kernels is gone",
    ),
    Scenario(
        name="new dependency", base=FILES, builds=True,
        change={
            "pyproject.toml": PROJECT.replace('"numpy"', '"numpy", "iniconfig"'),
            "kernels/plain.py": CONV.replace("import numpy", "import iniconfig  # noqa: F401\nimport numpy"),
        },
        codes=(0,), said=r"passed: neither slower nor wrong",
    ),
    Scenario(
        name="broken import", base=FILES, change={"kernels/plain.py": f"import kernels_of_nobody\n{CONV}"},
        codes=(2,), said=r"plugin kernels\.plugin is broken: ModuleNotFoundError: No module named 'kernels_of_nobody'",
    ),
    Scenario(
        name="C extension at the top", base=EXTENSION, change={"kernels/conv.c": C_WRONG}, builds=True,
        codes=(1,), said=r"failed: 2 BROKEN",
    ),
    Scenario(
        name="C extension in a subfolder", base=_move(EXTENSION, "python"), change={"python/kernels/conv.c": C_WRONG},
        options=f"{LAWS} --package python", builds=True, installs="python",
        codes=(1,), said=r"failed: 2 BROKEN",
    ),
    Scenario(
        name="library of a Makefile through ctypes", base=MADE, change={"kernels/conv.c": C_WRONG},
        codes=(1,), said=r"failed: 2 BROKEN",
    ),
    Scenario(
        name="shallow clone", base=FILES, change=WRONG, clone=clone_shallow,
        codes=(2,), said=r"unknown revision: .*this clone is shallow, `git fetch --unshallow --tags` gets the rest",
    ),
    Scenario(name="detached head", base=FILES, change=WRONG, codes=(1,), said=r"failed: 4 BROKEN"),
    Scenario(
        name="submodule", base=FILES, change=WRONG, clone=clone_with_submodules, submodule="kernels",
        codes=(1,), said=r"failed: 4 BROKEN",
    ),
    Scenario(
        name="base without the plugin", base={"pyproject.toml": PROJECT}, change=dict(FILES),
        codes=(2,), said=r"has no (module|file) 'kernels.*--base-broken ok",
    ),
    Scenario(
        name="base without the plugin, accepted", base={"pyproject.toml": PROJECT}, change=dict(FILES),
        options=f"{LAWS} --base-broken ok",
        codes=(0,), said=r"passed: laws of the new version hold; 4 of 4 cells compared with nothing",
    ),
    Scenario(
        name="base that can do nothing of it", change={"kernels/plugin.py": PLUGIN},
        base=FILES | {"kernels/plugin.py": PLUGIN.replace("return None if known else", "return")},
        codes=(5,), said=r"cannot tell: 4 of 4 cells are NEW and nothing of their kind was compared",
    ),
)  # fmt: skip


def write_files(folder, files):
    """Write files below a folder; None removes one."""
    for name, text in files.items():
        path = folder / name
        if text is None:
            path.unlink()
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def commit(folder, message):
    """Commit all files of a folder; the hash."""
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", message)
    return git(folder, "rev-parse", "HEAD")


def make_clone(scenario: Scenario, folder: Path) -> Path:
    """Make the repository of a scenario below a new folder; the clone that a job finds."""
    work, origin, clone = folder / "work", folder / "origin.git", folder / "clone"
    work.mkdir(parents=True)
    git(work, "init", "--quiet", "--initial-branch", "main")
    inner = {}
    for branch, files in (("main", scenario.base), ("change", scenario.change)):
        if branch == "change":
            git(work, "switch", "--quiet", "--create", "change")
        below = f"{scenario.submodule}/"
        inner = {k.removeprefix(below): v for k, v in files.items() if scenario.submodule and k.startswith(below)}
        write_files(work, {k: v for k, v in files.items() if k.removeprefix(below) not in inner})
        if inner:
            write_submodule(folder / "submodule", work, scenario.submodule, inner)
        commit(work, branch)
    git(folder, "clone", "--quiet", "--bare", str(work), str(origin))
    scenario.clone(origin, clone)
    return clone


def write_submodule(library: Path, work: Path, name: str, files) -> None:
    """Commit files to a repository of their own, and let the submodule of another one stand there."""
    new = not library.exists()
    if new:
        library.mkdir()
        git(library, "init", "--quiet", "--initial-branch", "main")
    write_files(library, files)
    revision = commit(library, "kernels")
    allow = ("-c", "protocol.file.allow=always")
    if new:
        git(work, *allow, "submodule", "--quiet", "add", str(library), name)
    git(work / name, *allow, "fetch", "--quiet", "origin")
    git(work / name, "switch", "--quiet", "--detach", revision)


def find_verdict(output: str) -> str:
    """The verdict of a gate in its own words: its last line, or the error that ended it."""
    lines = [line for line in output.splitlines() if re.match(r"gate: .*\(exit code \d\)$|error: ", line)]
    return lines[-1] if lines else ""
