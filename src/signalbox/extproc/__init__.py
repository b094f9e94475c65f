"""The ext_proc edge: Envoy's message in, Envoy's message out. The only package that knows Envoy's protobuf.

    server -> exchange -> parse -> features, decide -> mutate -> server

`server` is the small interface behind which `core_server` and `aio_server` carry bytes; `exchange` answers
them; `parse` and `mutate` translate; `wire` writes protobuf; `health` answers Envoy's health check.
"""
