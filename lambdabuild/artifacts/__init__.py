"""The output of steps: entries, zips, trees, stores. Must not know templates, plans or languages."""
