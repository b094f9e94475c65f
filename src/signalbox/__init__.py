"""Signalbox: the routing brain beside Envoy for requests to language models."""

__version__ = "0.1.0"
