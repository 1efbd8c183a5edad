"""Third-party plugins as the command knows them: described by a process of their own."""
