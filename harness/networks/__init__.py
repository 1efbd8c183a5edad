"""Whole networks: graphs of operators and element-wise operations, evaluated forwards and backwards on any backend."""
