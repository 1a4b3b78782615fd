"""What steps leave behind: entries, zips, trees, stores. Must not know templates, plans or languages."""
