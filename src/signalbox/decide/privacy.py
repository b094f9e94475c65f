"""Whether a request has to stay on the site: by its headers, or by the personal data it holds.

The one step that fails closed: what could not be looked at counts as if something had been found.
"""

from __future__ import annotations

from dataclasses import dataclass

from signalbox.brain.personal_data import Finder
from signalbox.decide.headers import HeaderPairs, local_only_pairs, matching_header
from signalbox.policy.schema import Privacy as PrivacySection
from signalbox.types import Case, LocalBy, ParsedRequest, Privacy, PrivacyVerdict

ANYWHERE = PrivacyVerdict(Privacy.ANY)


@dataclass(frozen=True, slots=True)
class Guard:
    """What makes a request local-only: header values, and kinds of personal data if there is a finder."""

    headers: HeaderPairs
    finder: Finder | None = None

    def judge(self, case: Case) -> PrivacyVerdict:
        """Return where a request may go, as it was judged before if it was. Never raises."""
        return case.signals.privacy or self.look(case.request)

    def look(self, request: ParsedRequest) -> PrivacyVerdict:
        """Return where a request may go. Never raises."""
        header = matching_header(request.headers, self.headers)
        if header is not None:
            return PrivacyVerdict(Privacy.LOCAL, LocalBy.HEADER, header)
        if self.finder is None:
            return ANYWHERE
        try:
            if request.scan.token_ids:
                return PrivacyVerdict(Privacy.LOCAL, LocalBy.UNREADABLE)
            kinds = self.finder.find(request)
        except Exception:  # noqa: BLE001 - whatever it was, nobody has looked, and the reason says so
            return PrivacyVerdict(Privacy.LOCAL, LocalBy.FAILED)
        return PrivacyVerdict(Privacy.LOCAL, LocalBy.DETECTED, None, kinds) if kinds else ANYWHERE


def compile_guard(*sections: PrivacySection | None) -> Guard:
    """Return the guard of requests to which all of these sections apply: the policy's and those of routers.

    Raises SetupError if a model that finds personal data cannot be loaded.
    """
    kinds = [
        kind
        for section in sections
        if section is not None and section.local_only is not None
        for kind in section.local_only.detect
    ]
    return Guard(local_only_pairs(*sections), Finder(kinds) if kinds else None)
