"""Corpora to manifests."""
