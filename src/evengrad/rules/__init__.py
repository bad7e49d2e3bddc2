"""The catalogue of rules: one file each, the file name is the id; pure functions of a trace."""
