"""Backends in any language: a shared library with the C interface of `harness_backend.h`, called through ctypes."""
