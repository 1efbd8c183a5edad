"""Roles of laws: declared on the law, unique, and the same that runs of older formats are read with."""

from harness.plugins.manager import load_plugins
from harness.record.formats import ROLES_BEFORE_3


def test_each_role_belongs_to_one_law_and_is_told_of_older_runs():
    roles = {law.name: law.role for law in load_plugins().laws.values() if law.role}
    assert roles == ROLES_BEFORE_3
