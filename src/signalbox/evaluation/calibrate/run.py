"""One calibration, from the words of a command to its report: figures, intervals, and lines of policy to paste."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from signalbox.errors import SetupError
from signalbox.evaluation.calibrate.threshold import (
    Calibration,
    Floats,
    Interval,
    calibrate,
    for_budget,
    for_quality,
    for_share,
)
from signalbox.evaluation.calibrate.traffic import Asked, Collected, Said, from_file, from_journal, nobody

THRESHOLD_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Options:
    """Words of the command. One of data and journal, and one of the three aims, is given.

    quality_floor: share of the quality that the strong tier achieves alone. strong, weak: sides of the data.
    """

    policy: Path
    router: str
    data: Path | None = None
    journal: Path | None = None
    target_share: float | None = None
    usd_per_1000: float | None = None
    quality_floor: float | None = None
    strong: str | None = None
    weak: str | None = None
    deadline_seconds: float = 30.0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Report:
    """What came of it. policy_lines: YAML under `routers`. also: the same aim as a running threshold, if it has one."""

    router: str
    aim: str
    calibration: Calibration
    passed: Mapping[str, int]
    notes: tuple[str, ...]
    policy_lines: str
    also: str

    @property
    def text(self) -> str:
        found = self.calibration
        threshold = found.threshold
        lines = [
            f"{self.aim}, from {found.requests:,} requests that were scored",
            f"threshold              {_told(threshold, 4) if threshold.value <= 1 else 'above every score'}",
            f"strong share           {_told(found.strong_share, 3)}",
        ]
        if found.usd_per_1000 is not None:
            lines.append(f"USD per 1,000 requests {_told(found.usd_per_1000, 4)}")
        if found.quality is not None:
            lines.append(f"quality                {_told(found.quality, 3)}")
        if found.of_strong is not None:
            lines.append(f"of the strong tier's   {_told(found.of_strong, 3)}")
        lines.append("(in brackets: where 95 of 100 samples of requests like these lie)")
        if self.passed:
            why = ", ".join(f"{count:,} {detail}" for detail, count in sorted(self.passed.items()))
            lines.append(f"not scored, and left to the router's next step: {why}")
        lines += [f"note: {note}" for note in self.notes]
        lines += ["", "routers:", self.policy_lines]
        if self.also:
            lines += ["", "or, for a threshold that follows the traffic:", "", "routers:", self.also]
        return "\n".join(lines)

    def as_json(self) -> dict[str, Any]:
        found = asdict(self.calibration)
        figures = {name: _finite(value) if isinstance(value, tuple) else value for name, value in found.items()}
        return {
            "router": self.router,
            "aim": self.aim,
            **figures,
            "not_scored": dict(self.passed),
            "notes": list(self.notes),
            "policy": self.policy_lines,
            "policy_running": self.also,
        }


def run(options: Options, said: Said = nobody) -> Report:
    """Calibrate a router's threshold.

    Raises SetupError for words that cannot be met, DataError for a file that cannot be used, PolicyError, and what
    opening the router's engine raises.
    """
    asked = Asked.load(options.policy, options.router)
    judged = options.quality_floor is not None
    collected = (
        from_journal(asked, options.journal, judged=judged)
        if options.journal is not None
        else from_file(
            asked,
            _given(options.data),
            strong=options.strong,
            weak=options.weak,
            judged=judged,
            deadline_seconds=options.deadline_seconds,
            said=said,
        )
    )
    found = _calibrate(options, asked, collected)
    threshold = round(found.threshold.value, THRESHOLD_DIGITS)
    running: dict[str, Any] = {}
    if options.usd_per_1000 is not None:
        running = {"usd_per_1000": options.usd_per_1000}
    elif threshold <= 1:
        running = {"target_share": round(found.strong_share.value, 4)}
    fixed = {"threshold": threshold} if threshold <= 1 else {"threshold": 1.0}
    notes = list(collected.notes)
    if threshold > 1:
        notes.append("nothing is for the strong tier: a score of 1 would be the only exception")
    bounds = _bounds(collected.traffic.scores, found.strong_share.value)
    return Report(
        router=asked.name,
        aim=_aim(options),
        calibration=found,
        passed=collected.passed,
        notes=tuple(notes),
        policy_lines=_lines(asked, fixed),
        also=_lines(asked, {**running, **fixed, "threshold_bounds": bounds}) if running else "",
    )


def _calibrate(options: Options, asked: Asked, collected: Collected) -> Calibration:
    traffic = collected.traffic
    if options.target_share is not None:
        return calibrate(traffic, for_share(options.target_share), seed=options.seed)
    if options.quality_floor is not None:
        return calibrate(traffic, for_quality(options.quality_floor), seed=options.seed)
    assert options.usd_per_1000 is not None
    if traffic.strong_usd is None or traffic.weak_usd is None:
        raise SetupError(
            f"{options.policy}: what requests of router {asked.name!r} cost is not known for both tiers\n"
            "  expected: a price for the models of either tier\n  fix: give them a `price`, or name a price list"
        )
    if not len(traffic.scores):
        return calibrate(traffic, for_budget(options.usd_per_1000))  # says that there are too few
    least = 1000 * float(traffic.weak_usd.mean())
    if least > options.usd_per_1000:
        raise SetupError(
            f"--budget-per-1000 {options.usd_per_1000:g}: the weak tier alone costs {least:.4g} USD for 1,000\n"
            f"  expected: {least:.4g} or more\n  fix: a larger budget, or a cheaper model in the weak tier"
        )
    return calibrate(traffic, for_budget(options.usd_per_1000), seed=options.seed)


def _given(data: Path | None) -> Path:
    assert data is not None  # the command's own check
    return data


def _aim(options: Options) -> str:
    if options.target_share is not None:
        return f"{options.target_share:.0%} of the requests for the strong tier"
    if options.usd_per_1000 is not None:
        return f"at most {options.usd_per_1000:g} USD per 1,000 requests"
    return f"at least {options.quality_floor:.0%} of the strong tier's own quality"


def _lines(asked: Asked, threshold: Mapping[str, Any]) -> str:
    """Return the router's `engine` with another threshold, as YAML of two levels below `routers`."""
    judge = asked.policy.routers[asked.name].judge
    assert judge is not None
    kept = judge.model_dump(
        exclude_unset=True, exclude={"threshold", "target_share", "usd_per_1000", "threshold_bounds"}
    )
    section = {**kept, **threshold}
    if "target_share" not in threshold:
        section.pop("dial", None)
        if "usd_per_1000" not in threshold:
            section.pop("drift", None)
    engine = yaml.safe_dump(section, default_flow_style=True, sort_keys=False, width=10_000).strip()
    return f"  {asked.name}:\n    engine: {engine}"


def _told(interval: Interval, digits: int) -> str:
    return f"{interval.value:.{digits}f}  ({interval.low:.{digits}f} to {interval.high:.{digits}f})"


def _bounds(scores: Floats, share: float) -> dict[str, float]:
    """Return thresholds at which half as many, and half as many again, of these requests are for the strong tier."""
    least, greatest = np.quantile(scores, [max(0.0, 1.0 - 1.5 * share), 1.0 - 0.5 * share])
    return {"min": math.floor(least * 1000) / 1000, "max": min(1.0, math.ceil(greatest * 1000) / 1000)}


def _finite(interval: tuple[float, ...]) -> list[float | None]:
    return [value if math.isfinite(value) else None for value in interval]
