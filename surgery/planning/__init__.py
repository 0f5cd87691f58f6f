"""What was asked for, resolved against an encoder before anything slow begins. Pure data."""
