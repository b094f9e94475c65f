"""Names of the kinds of personal data that have a form; csrc/sb_personal.h says what counts as each."""

from __future__ import annotations

PERSONAL_KINDS = ("email", "credit_card", "iban", "phone", "ssn", "ip_address", "driver_license", "passport")
"""In the order of `find_personal`'s bits: the kind at place n is bit 1 << n."""
