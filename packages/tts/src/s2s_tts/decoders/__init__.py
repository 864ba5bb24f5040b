"""Decoders: encoded text to spectrograms."""
