"""Publishers of checkpoints: their names, configs and code. Hugging Face's models have a file each."""
