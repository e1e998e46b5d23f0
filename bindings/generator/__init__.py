"""Parts of generate.py: one module reads the headers, one per language writes."""
