"""Other tools' rules, re-implemented from their sources as functions of a Trace."""
