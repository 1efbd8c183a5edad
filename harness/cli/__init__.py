"""The command line; each command in a file of its own, heavy imports inside the commands."""
