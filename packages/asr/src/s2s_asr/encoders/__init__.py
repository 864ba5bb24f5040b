"""Encoders of speech features."""
