"""Protocols: sans-io cores (bytes in, events out) and the thin shells that drive them."""
