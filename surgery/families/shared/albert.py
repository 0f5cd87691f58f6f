"""The scope of the one block in Model Garden's AlbertEncoder, which its own dialects and its publishers' share."""

SHARED = "transformer"
