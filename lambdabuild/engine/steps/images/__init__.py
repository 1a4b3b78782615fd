"""Images of functions: built by an engine, found by fingerprint, sent by digest."""
