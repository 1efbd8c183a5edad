"""Laws and verification of whole networks."""
