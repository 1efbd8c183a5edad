"""How an answer is wrong, in words: the pattern of the values and the region of the indices."""
