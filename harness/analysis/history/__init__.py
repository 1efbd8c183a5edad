"""Times of many runs over the history of the code, and their changes."""
