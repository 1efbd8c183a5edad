"""Child processes, one backend each. A crash, a hang or lack of memory costs only the cell in flight."""
