"""Bodies of language models: tokens to encodings."""
