"""Price lists: the name of a model in, USD per million tokens out."""
