"""Claims about backends: what they promise to support, and what is known to be wrong with them."""
