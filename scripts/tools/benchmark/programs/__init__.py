"""The programs that the benchmark measures, or that make what it measures; each runs as a process of its own."""
