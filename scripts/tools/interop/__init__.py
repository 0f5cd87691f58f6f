"""`scripts/check-interop`: what transformers and sentence-transformers compute with the folders that surgery writes."""
