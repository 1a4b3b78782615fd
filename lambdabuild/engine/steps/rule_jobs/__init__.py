"""Runs a step of a rule: here, in a container, by a command of the user, or on another machine."""
