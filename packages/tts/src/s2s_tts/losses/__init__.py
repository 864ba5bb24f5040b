"""Losses of synthesis."""
