"""History in, rows out: read models that answer questions."""
