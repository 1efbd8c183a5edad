"""The parts of `make gpu-check` and `make gpu-wheels`; docs/gpu.md says what they are for."""
