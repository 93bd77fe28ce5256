"""Where tools come from, one file each, and what a home remembers of it."""
