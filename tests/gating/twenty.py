"""A repository of twenty commits: a plugin package of which three commits slow an operator and one breaks a gradient.

A slow-down is real work: an operator takes some of its hundred images twice. `python -m tests.gating.twenty FOLDER`
makes the repository in a new folder, to try commands on by hand.
"""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.gating.plugin_text import format_plugin

SETTINGS = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"} | {
    f"GIT_{role}_{what}": "someone@example.org" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
}

CONV = '''"""Convolution of images by gathering patches."""

import numpy as np

from kernels.tools import patches

AGAIN = 0  # images that are taken twice


def conv(x, w):
    """y[n, o, p] = sum over c, k of x[n, c, p + k] w[o, c, k]; stride 1, no padding."""
    y = np.stack([_one(image, w) for image in x])
    for image in x[:AGAIN]:
        _one(image, w)
    return y


def _one(image, w):
    found = patches(image, w.shape[2:])
    return (w.reshape(len(w), -1) @ found.reshape(found.shape[0], -1)).reshape(len(w), *found.shape[1:])
'''
GRADIENT = '''"""The gradient of a convolution for its input."""

import numpy as np

from kernels.conv import conv


def conv_input_grad(dy, w):
    """dx = full correlation of dy with the kernel turned round, its channels exchanged."""
    k, l = w.shape[2:]
    turned = w[:, :, ::-1, ::-1].swapaxes(0, 1)
    return conv(np.pad(dy, ((0, 0), (0, 0), (k - 1, k - 1), (l - 1, l - 1))), turned)
'''
POOL = '''"""Pooling over windows of two by two."""

import numpy as np

AGAIN_MAX, AGAIN_MEAN = 0, 0  # images that are taken twice


def max_pool(x):
    """Largest element of each window, and its flat index in the image."""
    found = [_max(image) for image in x]
    for image in x[:AGAIN_MAX]:
        _max(image)
    return np.stack([y for y, _ in found]), np.stack([i for _, i in found])


def _max(image):
    c, h, w = image.shape
    cells = image.reshape(c, h // 2, 2, w // 2, 2).transpose(0, 1, 3, 2, 4).reshape(c, h // 2, w // 2, 4)
    best = cells.argmax(-1)
    rows, columns = np.arange(h // 2)[:, None] * 2 + best // 2, np.arange(w // 2) * 2 + best % 2
    return np.take_along_axis(cells, best[..., None], -1)[..., 0], rows * w + columns


def avg_pool(x):
    """Mean of each window."""
    y = np.stack([_mean(image) for image in x])
    for image in x[:AGAIN_MEAN]:
        _mean(image)
    return y


def _mean(image):
    c, h, w = image.shape
    return image.reshape(c, h // 2, 2, w // 2, 2).mean((2, 4), dtype=image.dtype)
'''
TOOLS = '''"""What several kernels share."""

import numpy as np


def patches(image, kernel):
    """(c k l, p, q): every patch of an image (c, h, w)."""
    windows = np.lib.stride_tricks.sliding_window_view(image, kernel, axis=(1, 2))
    return windows.transpose(0, 3, 4, 1, 2).reshape(-1, *windows.shape[1:3])
'''
LINES = {
    "conv": "conv x=100x4x14x14 w=8x4x3x3",
    "gradient": "conv_input_grad x=100x4x14x14 w=8x4x3x3",
    "max_pool": "max_pool x=100x8x28x28 kernel=2x2 stride=2",
    "avg_pool": "avg_pool x=100x8x28x28 kernel=2x2 stride=2",
}
METHODS = {
    "conv(self, x, w, b, window)": "conv.conv(x, w)",
    "conv_input_grad(self, dy, w, x_shape, window)": "gradient.conv_input_grad(dy, w)",
    "max_pool(self, x, window)": "pool.max_pool(x)",
    "avg_pool(self, x, window)": "pool.avg_pool(x)",
}
PLUGIN = format_plugin("from kernels import conv, gradient, pool", METHODS, LINES)
BENCHMARKS = '''"""The same operators on the same shapes, for pytest-benchmark."""

import numpy as np
import pytest

from kernels import conv, gradient, pool

RANDOM = np.random.default_rng(0)
SHAPES = (100, 4, 14, 14), (100, 8, 28, 28), (8, 4, 3, 3), (100, 8, 12, 12)
SMALL, LARGE, W, DY = (RANDOM.standard_normal(shape, dtype=np.float32) for shape in SHAPES)
CALLS = {
    "conv": lambda: conv.conv(SMALL, W), "gradient": lambda: gradient.conv_input_grad(DY, W),
    "max_pool": lambda: pool.max_pool(LARGE), "avg_pool": lambda: pool.avg_pool(LARGE),
}


@pytest.mark.parametrize("name", CALLS)
def test_speed(benchmark, name):
    benchmark(CALLS[name])
'''
PROJECT = """[project]
name = "kernels"
version = "0"
dependencies = ["numpy"]

[tool.setuptools]
packages = ["kernels"]
"""
FILES = {
    "pyproject.toml": PROJECT, "kernels/__init__.py": '"""Kernels."""\n', "kernels/conv.py": CONV,
    "kernels/gradient.py": GRADIENT, "kernels/pool.py": POOL, "kernels/tools.py": TOOLS, "kernels/plugin.py": PLUGIN,
    "test_speed.py": BENCHMARKS,
}  # fmt: skip


@dataclass(frozen=True)
class Commit:
    """Change of a commit to a file, and the expected finding against its parent: `cell` is the plugin's name."""

    message: str
    file: str
    old: str
    new: str
    finding: str = ""
    cell: str = ""
    percent: int = 0


def add(file, line):
    """Put a line at the end of a file, or into a new one."""
    return Commit(f"Say more in {file}", file, "", line)


COMMITS = (
    add("README.md", "Kernels for small images.\n"),
    add("kernels/conv.py", "# Patches are gathered image by image, which suits small caches.\n"),
    add("kernels/pool.py", "# Windows do not overlap.\n"),
    Commit("Check twice", "kernels/conv.py", "AGAIN = 0", "AGAIN = 3", "SLOWER", "conv", 3),
    add("kernels/tools.py", "# sliding_window_view makes no copy; reshape does.\n"),
    add("scripts/draw.py", "print('nothing to draw')\n"),
    add("kernels/gradient.py", "# The kernel is turned round in both axes.\n"),
    Commit("Look at maxima again", "kernels/pool.py", "AGAIN_MAX, AGAIN_MEAN = 0,", "AGAIN_MAX, AGAIN_MEAN = 5,",
           "SLOWER", "max_pool", 5),
    add("README.md", "Strides are one.\n"),
    add("kernels/tools.py", "\n\ndef describe():\n    return 'tools'\n"),
    Commit("Simplify the gradient", "kernels/gradient.py", "w[:, :, ::-1, ::-1]", "w[:, :, ::-1, :]",
           "BROKEN", "gradient"),
    add("scripts/draw.py", "print('nor now')\n"),
    add("kernels/conv.py", "# A product of matrices does the rest.\n"),
    Commit("Look at means again", "kernels/pool.py", "AGAIN_MAX, AGAIN_MEAN = 5, 0", "AGAIN_MAX, AGAIN_MEAN = 5, 10",
           "SLOWER", "avg_pool", 10),
    add("README.md", "Pooling windows are two by two.\n"),
    add("kernels/pool.py", "# Ties go to the first.\n"),
    add("kernels/tools.py", "\n\ndef name():\n    return 'kernels'\n"),
    add("kernels/gradient.py", "# Channels change places.\n"),
    add("README.md", "The end.\n"),
)  # fmt: skip


def git(folder, *arguments):
    """Run git, independently of the user's settings."""
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments], env={**os.environ, **SETTINGS}, capture_output=True, text=True
    )
    assert not done.returncode, done.stderr
    return done.stdout.strip()


def run_harness(*arguments, cwd, state):
    """Run the command in a repository, with a state of its own and no module of this one on the path."""
    settings = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [sys.executable, "-m", "harness", *arguments], cwd=cwd, capture_output=True, text=True,
        env=settings | SETTINGS | {"HARNESS_STATE_DIR": str(state)},
    )  # fmt: skip


def make_repository(folder: Path, commits=COMMITS) -> list[str]:
    """Make the repository; return the hashes of all its commits, the first of which has nothing but right code."""
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet", "--initial-branch", "main")
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    hashes = [_commit(folder, "Begin")]
    for commit in commits:
        path = folder / commit.file
        path.parent.mkdir(parents=True, exist_ok=True)
        text = path.read_text("utf-8") if path.is_file() else ""
        assert commit.old in text
        path.write_text(text.replace(commit.old, commit.new) if commit.old else text + commit.new, encoding="utf-8")
        hashes.append(_commit(folder, commit.message))
    return hashes


def _commit(folder, message):
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", message)
    return git(folder, "rev-parse", "HEAD")


if __name__ == "__main__":
    make_repository(Path(sys.argv[1]))
    print(sys.argv[1])
