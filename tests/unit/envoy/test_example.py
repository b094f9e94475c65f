"""The configuration in envoy/example is what its policy renders to today."""

from __future__ import annotations

from pathlib import Path

import yaml

from signalbox.envoy.layout import CA_FILES
from signalbox.envoy.render import Layout, render
from signalbox.policy.schema import Policy

EXAMPLE = Path(__file__).parents[3] / "envoy" / "example"
LAYOUT = Layout(run_dir=Path("."), workers=1, ca_file=CA_FILES[0])


def test_the_example_is_up_to_date() -> None:
    policy = Policy.model_validate(yaml.safe_load((EXAMPLE / "policy.yaml").read_text()))
    written = {str(path.relative_to(EXAMPLE)): path.read_text() for path in EXAMPLE.rglob("*.yaml")}
    del written["policy.yaml"]
    rendered = render(policy, LAYOUT).files
    assert set(written) == set(rendered)
    stale = [name for name in rendered if written[name] != rendered[name]]
    assert stale == [], "run `python -m tests.unit.envoy.test_example` from the repository root"


if __name__ == "__main__":
    from signalbox.envoy.files import write

    write(render(Policy.model_validate(yaml.safe_load((EXAMPLE / "policy.yaml").read_text())), LAYOUT), EXAMPLE)
