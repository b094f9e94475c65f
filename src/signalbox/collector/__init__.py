"""The collector: Envoy's access log in; metrics, log lines and the HTTP API out.

receiver ─> records ─> join ─> state ─┬─> metrics ─> api
                                      └─> log
"""
