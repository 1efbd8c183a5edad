"""Measuring on this machine: clocks, blocks of calls, caches, memory and the lease of a device."""
