"""What is going to be done: suites, problem sets, cells, and the pure function that plans them."""
