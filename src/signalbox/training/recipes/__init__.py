"""A recipe for each built-in model: `build(data, out)` writes its files and manifest into `out`."""
