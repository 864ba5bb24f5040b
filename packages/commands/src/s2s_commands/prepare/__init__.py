"""Corpora on disk to manifests."""
