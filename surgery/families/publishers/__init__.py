"""What the publishers of checkpoints say of their configs and names, one file per publisher."""
