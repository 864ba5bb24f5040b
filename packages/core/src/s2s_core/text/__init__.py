"""Text: tokenizers and normalisation."""
