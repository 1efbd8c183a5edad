"""Sections of the report of a run, one file each: variables of the page, and the same content as Markdown."""
