"""Models that choose one of described routes: Arch-Router, Plano-Orchestrator, and what is trained like them.

    request ──trim, in the model's tokens──> prompt ──a served model's text, or label scores──> route, or why none

The prompt is the model's own, byte for byte: it was trained with that and with nothing else.
"""
