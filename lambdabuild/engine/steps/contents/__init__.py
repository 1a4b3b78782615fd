"""The content of an artifact: its settled list of entries, stripped and checked."""
