"""The ground floor: a project's paths, what its steps share, receipts, the journal, the snapshot."""
