"""What `signalbox check` says about a policy: as text for people, as JSON for CI."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from signalbox.errors import PolicyError, Problem
from signalbox.policy.load import LoadedPolicy, Priced, load_policy, no_list


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome of checking one file. `sha256` is empty when the policy cannot be used."""

    file: str
    problems: tuple[Problem, ...]
    sha256: str = ""
    strict: bool = False

    @property
    def errors(self) -> int:
        return sum(problem.severity == "error" for problem in self.problems)

    @property
    def warnings(self) -> int:
        return len(self.problems) - self.errors

    @property
    def exit_status(self) -> int:
        """0 when the policy can be used, 1 when not; under `strict` a warning is a failure as well."""
        return int(self.errors > 0 or (self.strict and self.warnings > 0))

    @property
    def text(self) -> str:
        """Every problem, then one line with the counts."""
        problems = [str(problem) for problem in self.problems]
        counts = f"{_count(self.errors, 'error')}, {_count(self.warnings, 'warning')}"
        verdict = f"{self.file}: ok" if not self.problems else f"{self.file}: {counts}"
        return "\n\n".join([*problems, verdict])

    def as_json(self) -> dict[str, Any]:
        """The same as plain data, for `json.dumps`."""
        return {
            "file": self.file,
            "ok": self.exit_status == 0,
            "sha256": self.sha256 or None,
            "errors": self.errors,
            "warnings": self.warnings,
            "problems": [asdict(problem) for problem in self.problems],
        }


def check_file(path: Path, *, strict: bool = False, priced: Priced = no_list) -> Report:
    """Check a policy and the key and certificate files it names. Raises nothing for what it finds.

    priced: asked for models that need no price in the policy.
    """
    try:
        return _report(load_policy(path, check_files=True, priced=priced), strict=strict)
    except PolicyError as error:
        return Report(str(path), error.problems, strict=strict)


def render_report(outcome: LoadedPolicy | PolicyError) -> str:
    """Text for people about a policy that was, or could not be, loaded."""
    return _report(outcome).text


def to_json(outcome: LoadedPolicy | PolicyError) -> str:
    """The same as JSON text."""
    return json.dumps(_report(outcome).as_json(), indent=2)


def _report(outcome: LoadedPolicy | PolicyError, *, strict: bool = False) -> Report:
    if isinstance(outcome, LoadedPolicy):
        return Report(outcome.file, outcome.warnings, outcome.sha256, strict)
    return Report(outcome.problems[0].file, outcome.problems, strict=strict)


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
