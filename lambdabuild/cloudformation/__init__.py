"""Service + locations -> template text. Pure."""
