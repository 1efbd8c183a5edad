"""The family condition x spoil: right except for one operator, under conditions by which libraries choose code.

Every condition of the model of dispatch stands alone in every operator that can meet it, and in pairs and triples that
everyday layers meet; spoils alternate. Named OPERATOR-if-CONDITION-and-CONDITION-SPOIL.
"""

import harness
from tests.planting.conditioned import Conditioned
from tests.planting.families import family


@harness.hookimpl
def register_backends(register):
    for plan in family():
        register(Conditioned(plan))
