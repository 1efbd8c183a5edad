"""The judge's view of a backend in another process: the process, the backend, its arrays and its calls."""
