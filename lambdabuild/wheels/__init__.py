"""What the Python rules share: targets, tags, locks, the store of wheels. Must not know templates, plans or doit."""
