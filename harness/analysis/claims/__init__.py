"""Claims held against the results of a run, and claims written from them."""
