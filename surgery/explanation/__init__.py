"""What a module means, and why: its family, hyperparameters with evidence, and where every weight goes."""
