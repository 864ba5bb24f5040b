"""Searches over settings of a recipe, in Weights & Biases' own sweep format."""
