"""Written text to what is said: words, characters and phonemes."""
