"""The whole library in NumPy: short, slow, and what the fast code must equal bit by bit."""
