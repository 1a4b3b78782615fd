"""What all floors above use: where a project's files are, what its steps share, receipts, the journal, the snapshot."""
