"""Runs the steps. The only place where bytes of a build move."""
