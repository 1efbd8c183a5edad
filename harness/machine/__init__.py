"""The machine: hardware and kernel settings, resource limits, and sources of timing noise."""
