"""The command line: one file per command. It parses, makes one library call, and shows the result."""
