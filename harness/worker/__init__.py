"""Child processes: one backend each; they may crash, hang or run out of memory, and cost only the cell in flight."""
