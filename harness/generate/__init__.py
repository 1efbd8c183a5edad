"""Making problems that are valid by construction: drawn ones, covering ones, and those that failed before."""
