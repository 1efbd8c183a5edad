"""The backend's process: it loads the backend's plugin and does what the judge's process asks."""
