"""Encoders of texts and styles."""
