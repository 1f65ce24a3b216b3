"""What can be expected of a hospital's systems, and the standing rules every run must obey."""
