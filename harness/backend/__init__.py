"""The contract of a backend, and the routes to its operators: native, derived or unsupported."""
