"""The contract of a backend, and how each of its operators is found: native, derived or unsupported."""
