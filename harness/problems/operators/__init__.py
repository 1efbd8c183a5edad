"""The operators, one file each: arrays, permitted fields, cost, data, references, gradients and derivations."""
