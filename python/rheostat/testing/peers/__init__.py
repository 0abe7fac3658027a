"""Other programs under `check_sampler` and `check_stops`: `python -m rheostat.testing.peers`.

Each module here is one program, as it is installed, by its own functions: its `load()` gives what is checked.
"""
