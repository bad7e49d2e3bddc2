"""From a trace to a diagnosis: run every rule, fold consequences under their causes. Pure functions of values."""
