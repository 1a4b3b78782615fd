"""What is on disk: lists of files, their stat, their digests. Must not know what a step or an artifact is."""
