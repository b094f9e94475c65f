"""`signalbox serve`: a supervisor, its workers and one collector."""
