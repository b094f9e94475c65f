"""How the built-in models are made: offline, from a folder of data, the same bytes each time."""
