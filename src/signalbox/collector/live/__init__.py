"""The live picture: what the access log says about models right now, and the snapshot made of it. See docs/world.md."""
