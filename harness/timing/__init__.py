"""How fast: sampling one call, the machine's own peak, and what samples say."""
