"""The text of a plugin for a small package of kernels, as the repositories of these tests have it."""

TEXT = '''"""The package as a backend of the harness."""

import harness
from harness import NamedProblem, Suite
from harness.problems.line import parse_line

{imports}

LINES = {lines}
PROBLEMS = [parse_line(line) for line in LINES.values()]


class Kernels(harness.Backend):
    name = "kernels"

    def supports(self, problem):
        known = problem.with_(data="normal", seed=0) in PROBLEMS
        return None if known else "only the problems of this package"
{methods}

def name_problems(*names):
    return tuple(NamedProblem(name=f"kernels/{{name}}", problem=parse_line(LINES[name])) for name in names)


def checked():
    return name_problems({checked})


def timed():
    return name_problems({timed})


LAWS = ("agrees-with-reference",)


@harness.hookimpl
def register_backends(register):
    register(Kernels())


@harness.hookimpl
def register_suites(register):
    register(Suite(name="kernels-laws", kind="correctness", description="small problems", problems=checked, laws=LAWS))
    register(Suite(name="kernels-speed", kind="speed", description="large problems", problems=timed))
'''


def format_plugin(imports, methods, lines, checked=None, timed=None):
    """Return the text of the plugin.

    imports: statement that imports the kernels. methods: of the backend, by signature: the expression that each
    returns. lines: problem lines by name. checked, timed: names of the lines in each suite; None for all.
    """
    return TEXT.format(
        imports=imports, methods="".join(f"\n    def {one}:\n        return {done}\n" for one, done in methods.items()),
        lines="{\n" + "".join(f'    "{name}": "{line}",\n' for name, line in lines.items()) + "}",
        checked=", ".join(f'"{name}"' for name in checked or lines),
        timed=", ".join(f'"{name}"' for name in timed or lines),
    )  # fmt: skip
