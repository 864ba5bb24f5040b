"""Losses of recognition."""
