"""The problems of the suite correctness that are asked every law; the others are asked one."""

from harness.generate.covering import covering_problems
from suites.geometries import correctness_problems

ASKED = [one.problem for one in (*correctness_problems(), *covering_problems()) if not one.laws]
