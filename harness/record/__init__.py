"""What is kept: results and runs, the journal, Parquet tables, the environment."""
