"""Whole networks: graphs of operators and glue, evaluated forwards and backwards on any implementation."""
