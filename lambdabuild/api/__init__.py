"""Python interfaces for other programs: builds as Lambda Builders does them, and source packages."""
