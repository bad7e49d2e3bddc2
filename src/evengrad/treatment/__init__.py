"""Changes carried out on a live model: new initial weights, and the acts of a plan."""
