"""Counting the instructions that a call retires, by the kernel's counter or under valgrind."""
