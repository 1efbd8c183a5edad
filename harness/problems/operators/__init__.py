"""The operators, one file for each family: arrays, permitted fields, cost, data, reference, gradients, derivations."""
