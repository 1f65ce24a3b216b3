"""What each actor can do, who plays which actor, and how they are asked from outside."""
