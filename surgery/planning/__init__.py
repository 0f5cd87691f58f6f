"""A caller's request, resolved for an encoder before anything slow begins. All of it is plain data."""
