"""Text to tokenised files and vocabularies."""
