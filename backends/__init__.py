"""Implementations of the operators: one plugin a file, each as independent as a stranger's."""
