"""Models that judge a request: a question in, an answer out, by the deadline, whatever happens."""
