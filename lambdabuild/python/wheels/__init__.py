"""Wheels: fetched, built, compiled for the function's platform -> parts of an artifact."""
