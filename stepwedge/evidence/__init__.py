"""What was said on the wire, kept before anything judges it."""
