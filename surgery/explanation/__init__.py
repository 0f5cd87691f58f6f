"""What a module means, and why: its family, its hyperparameters with evidence, and the way of every weight."""
