"""How long things are kept, and how large they may be: the rules both stores share."""

from __future__ import annotations

import re
from collections.abc import Sequence

from signalbox.world import Hold

SETTLED_SECONDS = 900
"""A request settled twice within this counts once. Access log entries are repeated within seconds, not hours."""

DAY_BUDGET_SECONDS = 3 * 86_400
OTHER_BUDGET_SECONDS = 40 * 86_400
FACT_SECONDS = 366 * 86_400
"""Only in Redis, where nothing may stay for ever; each reading renews it."""

MAX_AMOUNT = 2**53
"""Nine million dollars, or nine quadrillion tokens: a number a Lua script still counts with exactly."""

_DAY = re.compile(r"[^/]*/\d{4}-\d{2}-\d{2}(/|\Z)")


def budget_seconds(budget: str) -> int:
    """How long a budget is kept after it was last used: one of a day, `UNIT/YYYY-MM-DD/…`, is over soon."""
    return DAY_BUDGET_SECONDS if _DAY.match(budget) else OTHER_BUDGET_SECONDS


def whole(amount: int) -> int:
    """An amount that can be added up: a negative one would give budget back, a huge one overflow."""
    return min(max(int(amount), 0), MAX_AMOUNT)


def one_each(holds: Sequence[Hold]) -> list[Hold]:
    """The last hold of each budget, in the order the budgets came."""
    return list({hold.budget: hold for hold in holds}.values())
