"""Automatic layers: which packages become layers once they are resolved, and their files."""
