"""Finds what a step depends on and whether it is up to date. Runs no step."""
