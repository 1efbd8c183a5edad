"""Problems taken from a user's own model: what it calls, with shapes and multiplicities."""
