"""The parent side of a run: stages, worker processes and environments."""
