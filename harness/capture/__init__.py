"""Problems from a user's own model: its convolutions and poolings, with shapes and multiplicities."""
