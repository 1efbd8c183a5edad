"""Generation of problems that are valid by construction: random ones, covering arrays, and reduced failures."""
