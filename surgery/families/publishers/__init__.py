"""Publishers of checkpoints: their names, configs and code, one file per publisher."""
