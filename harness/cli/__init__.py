"""The command line: each command in its own file, with heavy imports inside the commands."""
