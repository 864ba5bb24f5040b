"""Output layers of language models: encodings to distributions."""
