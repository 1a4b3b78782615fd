"""The layers of a service, and which packages automatic layers take. Pure."""
