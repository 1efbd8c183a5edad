"""Questions to a backend: laws, the geometries on which they are asked, real networks and sweeps."""
