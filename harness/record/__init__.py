"""Records: results and runs, the journal, archives and baselines, and the environment."""
