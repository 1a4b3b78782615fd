"""What a step made, given to the caches and taken from them. Runs no step."""
