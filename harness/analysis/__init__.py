"""Analysis of the samples and outcomes of a run: verdicts, comparisons, findings and tables."""
