"""A policy whose decisions remember: sessions and budgets, in the run directory or in a Redis server."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from string import Template

from signalbox.world import Pin

from .stack import Stack

# `gold` and `plain` requests go to different models, so a session that keeps its model shows.
_POLICY = """
version: 1
gateway: {first_byte_timeout_seconds: 5, stream_usage: true}
providers:
  alpha: {endpoint: "${alpha}", key: {file: "${keys}/alpha"}}
  beta: {endpoint: "${beta}", key: {file: "${keys}/beta"}}
models:
  alpha-large: {provider: alpha, price: {input: 3, output: 15}}
  beta-large: {provider: beta, price: {input: 2, output: 10}}
routers:
  sticky:
    models: [alpha-large, beta-large]
    rules:
      - {name: gold, when: {headers: {x-tier: gold}}, models: [beta-large, alpha-large]}
    affinity: {mode: strict, ttl_seconds: 600}
  thrifty:
    models: [alpha-large]
    budget: {usd_per_day: 0.05, header: x-team}
default_router: sticky
state: STATE
"""


def policy(redis_url: str | None = None) -> Template:
    """redis_url: of the server that several stacks share; None: each has a store of its own.

    The patience is the longest a policy may give, because the machine tests run on is busy.
    """
    state = {} if redis_url is None else {"redis": {"url": redis_url, "timeout_ms": 100}}
    return Template(_POLICY.replace("STATE", json.dumps(state)))


def pins(stack: Stack) -> list[Pin]:
    """Every pin in a stack's own store."""
    with closing(sqlite3.connect(stack.run_dir / "state.sqlite")) as file:
        rows = file.execute("SELECT model, turns, input_tokens, cached_tokens FROM pins").fetchall()
    return [Pin(*row) for row in rows]


def budget(stack: Stack) -> tuple[int, int]:
    """What was spent, and what is held, of all budgets in a stack's own store: billionths of a dollar."""
    with closing(sqlite3.connect(stack.run_dir / "state.sqlite")) as file:
        row = file.execute("SELECT total(spent), total(held) FROM budgets").fetchone()
    return int(row[0]), int(row[1])
