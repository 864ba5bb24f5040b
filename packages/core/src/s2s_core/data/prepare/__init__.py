"""Corpora in their own layouts to checked manifests."""
