"""Decoders: encodings to scores."""
