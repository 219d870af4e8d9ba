"""Pipeline documents: what the user wrote, every value with its file, line and column."""
