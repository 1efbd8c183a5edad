"""The plan of a run: suites, problem sets, cells, and the pure function that makes them."""
