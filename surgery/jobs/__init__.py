"""One straight line per command, from an opened module to a published result."""
