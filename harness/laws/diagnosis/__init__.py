"""Diagnosis of a wrong answer in words: the pattern of the values and the region of the indices."""
