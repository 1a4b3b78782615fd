"""Which layers a service has, and which packages automatic layers take. Pure."""
