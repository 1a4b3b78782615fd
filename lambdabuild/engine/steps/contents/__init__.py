"""What is in an artifact: its settled list of entries, stripped and checked."""
