"""Results as JSON-ready data and as text, one file per subject."""
