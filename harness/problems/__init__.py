"""The specification: what an operator, a window and a problem are, and the float64 reference."""
