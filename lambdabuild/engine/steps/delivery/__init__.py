"""Artifacts into the store, and the templates and files that name them."""
