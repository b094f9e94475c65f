"""Resources as YAML that people can read and that Envoy reads as we meant it."""

from __future__ import annotations

import re
from typing import Any

import yaml

try:  # libyaml's emitter is three times as fast, which a reload with fifty providers notices
    from yaml import CSafeDumper as SafeDumper
except ImportError:
    from yaml import SafeDumper  # type: ignore[assignment]

# Envoy's parser guesses at unquoted text, and more eagerly than PyYAML: `y`, `1e5` and `0x10` would not
# stay text. Only what cannot be anything else is left without quotes.
PLAIN = re.compile(r"[A-Za-z_@][A-Za-z0-9_./-]+")
NEVER = 2**31 - 1
WORDS = frozenset({"yes", "no", "on", "off", "true", "false", "null", "nan", "inf"})


class _Dumper(SafeDumper):
    """Block style, strings quoted where in doubt, no anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    style: str | None = '"'
    if "\n" in text:
        style = "|"
    elif PLAIN.fullmatch(text) and text.lower() not in WORDS and not text.startswith("@"):
        style = None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


def as_yaml(resource: dict[str, Any]) -> str:
    """One document, keys in the order they were made, no line folded."""
    return str(yaml.dump(resource, Dumper=_Dumper, sort_keys=False, width=NEVER, default_flow_style=False))
