"""The plugin interface: backends, hooks, how plugins are found, and how a backend gets each operator."""
