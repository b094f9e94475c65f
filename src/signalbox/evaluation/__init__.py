"""Routers against baselines, on prompts with known outcomes: offline, and never part of a decision."""
