"""Results as JSON-ready data and as text for people, one file per subject.

Each file has `data(result)`, which JSON can hold, and `text(console, data)`, which writes the same facts for people.
"""
