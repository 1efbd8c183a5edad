"""Doors for other programs: pytest runs cells as its tests."""
