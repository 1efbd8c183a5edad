"""Measurement on this machine: clocks, blocks of calls, caches, memory and the lock of a device."""
