"""The plugin interface: hooks, and how plugins are found and loaded."""
