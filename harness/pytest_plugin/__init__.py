"""Plugin for pytest: runs cells as tests."""
