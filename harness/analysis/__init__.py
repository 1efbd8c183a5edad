"""What the samples and outcomes of a run say: verdicts, comparisons, findings and tables."""
