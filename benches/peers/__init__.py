"""Other programs at the same work, each in a small file of its own; one that is not installed is left out."""
