"""Reports of results, as JSON data and as text for people; one file per subject.

Each file has `data(result)`, whose facts JSON can hold, and `text(console, data)`, which prints the same facts.
"""
