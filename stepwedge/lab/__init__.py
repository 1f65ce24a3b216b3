"""Lab files: who is simulated, who is real and where, and how all of them are started and found."""
