"""Notes a decision takes on itself when somebody asked for an explanation.

Serving passes no trace and pays one `is None` per step; `Pipeline.explain` passes one through the same
code, so an explanation cannot disagree with the decision it explains.
"""

from __future__ import annotations

from typing import Any

Trace = dict[str, Any]
"""Step -> JSON-able facts. Names of models, rules, filters and headers; counts and scores; no content."""
