"""Write changes into the user's own source: one file per act, text in, text out; nothing is imported or run."""
