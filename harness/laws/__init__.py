"""Whether an answer is right: laws, the subject that they question, bounds and deviations."""
