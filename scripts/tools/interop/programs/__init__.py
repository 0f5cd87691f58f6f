"""Programs that run in the environment `torch`, where surgery is not installed: they import nothing of this project."""
