"""What others know: a Prometheus server, and price lists on the web.

Asked now and then, believed only if it makes sense.

`loop` asks for ever, `fetch` gets one answer, `prometheus` and `prices` say what an answer means and keep the last good
one, `running` puts a policy's sources together. Nothing here can fail a request: an answer that does not come, or is
wrong, leaves the last good one until that is too old, and then nothing is known.
"""
