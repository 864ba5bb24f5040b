"""Synthetic speech of whole manifests, for recognition to train on."""
