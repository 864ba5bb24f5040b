"""Vocoders: spectrograms to waveforms."""
