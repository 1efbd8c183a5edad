"""The process that imports one third-party plugin for the command, and says what it brings and declares."""
