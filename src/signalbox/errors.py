"""Every error Signalbox raises on purpose.

    SignalboxError
    ├── PolicyError     the operator's doing: a policy that cannot be used; carries every problem found
    ├── RequestError    the client's doing: becomes an immediate response in OpenAI's error shape
    ├── RouterError     an engine failed or was late; costs quality, never the request
    ├── BundleError     a router model's folder that cannot be used; carries every problem found
    ├── DataError       a file of prompts with outcomes that cannot be used; carries the problems found
    ├── SignalError     something about the world could not be read
    └── SetupError      this installation cannot run as asked (missing binary, taken port, stale build)

Catch the narrowest. Nothing is swallowed without a counter and a log line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class SignalboxError(Exception):
    """Root of the tree; never raised itself."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a policy: where it is, what was found, what would be right."""

    file: str
    line: int | None  # 1-based line in `file`; None when no line can be named
    path: str  # e.g. `routers.code.tasks[2].models[0]`; empty for the document itself
    found: str  # what is wrong, quoting the value
    expected: str = ""  # allowed values or shape
    fix: str = ""  # what to do; names the nearest known name when there is one
    severity: str = "error"  # `error` refuses the policy, `warning` does not

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        where = f"{place}: {self.path}" if self.path else place
        lines = [f"{'warning: ' if self.severity == 'warning' else ''}{where}: {self.found}"]
        if self.expected:
            lines.append(f"  expected: {self.expected}")
        if self.fix:
            lines.append(f"  fix: {self.fix}")
        return "\n".join(lines)


class PolicyError(SignalboxError):
    """A policy that cannot be used. `problems` holds all there is to say, in file order; the text only errors."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems if problem.severity == "error"))
        self.problems = tuple(problems)

    @classmethod
    def single(cls, file: str, found: str, *, expected: str = "", fix: str = "") -> PolicyError:
        """One problem of the whole document."""
        return cls([Problem(file, None, "", found, expected, fix)])


class RequestError(SignalboxError):
    """A request that will not be forwarded. The message goes back to the client, so it names the
    client's own doing and nothing internal.

    status: HTTP status of the answer, 400 to 503.
    code: OpenAI's `error.code`, for example `model_not_found`; closed set, also a metric label.
    retry_after_seconds: when it is worth asking again; goes out as `retry-after`.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        code: str = "invalid_request",
        retry_after_seconds: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.retry_after_seconds = retry_after_seconds


class RouterError(SignalboxError):
    """An engine failed, was late or could not decide."""


class BundleError(SignalboxError):
    """A router model's folder that cannot be used, or a checkpoint that cannot become one."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)

    @classmethod
    def single(cls, file: str, found: str, *, expected: str = "", fix: str = "", path: str = "") -> BundleError:
        """One problem of one file, or of the folder."""
        return cls([Problem(file, None, path, found, expected, fix)])


class DataError(SignalboxError):
    """Data to evaluate or train on that cannot be used. more: problems found beyond those in `problems`."""

    def __init__(self, problems: Sequence[Problem], *, more: int = 0) -> None:
        told = [str(problem) for problem in problems]
        super().__init__("\n".join([*told, f"and {more} more problems"] if more else told))
        self.problems = tuple(problems)
        self.more = more

    @classmethod
    def single(cls, file: str, found: str, *, line: int | None = None, expected: str = "", fix: str = "") -> DataError:
        """One problem of the whole file, or of one line."""
        return cls([Problem(file, line, "", found, expected, fix)])


class SignalError(SignalboxError):
    """Something about the world could not be read; the last known value or a neutral one is used."""


class SetupError(SignalboxError):
    """This installation cannot run as asked; the message says what is missing and how to get it."""
