"""Models that reason before they choose: Router-R1, which thinks aloud and then calls one of described models.

question ──its own prompt──> <think> ... </think> <search> NAME: ... </search> ──> NAME is the route
"""
