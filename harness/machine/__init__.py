"""The machine: what the system reports about it, its limits, and what makes its times noisy."""
