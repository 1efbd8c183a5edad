"""What is asked of a backend: laws, the geometries that they are asked on, real networks and sweeps."""
