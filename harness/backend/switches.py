"""Names of libraries whose instruction set can be lowered, as backends declare them in `instruction_sets`."""

SWITCHES = frozenset({"onednn", "aten", "openblas", "numpy", "mkl"})
