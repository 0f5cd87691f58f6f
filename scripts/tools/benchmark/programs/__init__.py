"""Programs that the benchmark measures, or that make its modules and corpora. Each runs as a process of its own."""
