"""Reports: a diagnosis in, text out (terminal, HTML, JSON, Markdown). Imports neither torch nor a live run."""
