"""Parallel text to tokenised files and vocabularies."""
