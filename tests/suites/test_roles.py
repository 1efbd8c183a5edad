"""The roles that laws declare, and the names by which reports of stored runs know the same laws."""

from typing import get_args

from harness.analysis.frames import ARITHMETIC_LAW, REFERENCE_LAW
from harness.analysis.networks import WHOLE_LAW
from harness.laws.law import Role


def test_each_role_is_one_law_and_stored_runs_know_it_by_its_name(registry):
    roles = {law.role: name for name, law in registry.laws.items() if law.role}
    assert roles == {"reference": REFERENCE_LAW, "arithmetic": ARITHMETIC_LAW, "network": WHOLE_LAW}
    assert set(roles) == set(get_args(Role)) - {""}
    assert sum(bool(law.role) for law in registry.laws.values()) == len(roles)
