"""Sections of the report of a run, one file each: what the page shows, and the same as Markdown."""
