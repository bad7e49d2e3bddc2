"""New initial weights for any model, in place, with a report of what was done to each parameter and why."""
