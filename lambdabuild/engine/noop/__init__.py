"""The answer when nothing changed, and what the next run needs to give it."""
