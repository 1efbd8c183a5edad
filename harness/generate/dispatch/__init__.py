"""Model of how libraries choose kernels: conditions on problems, and problems that cover all triples of conditions."""
