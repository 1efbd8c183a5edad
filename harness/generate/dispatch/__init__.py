"""A model of how libraries choose code: conditions on problems, and problems on which every three conditions meet."""
