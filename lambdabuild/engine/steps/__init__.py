"""What each step does. The only place where bytes of a build move."""
