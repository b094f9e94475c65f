"""What the chart renders, kept to be read: `python -m tests.chart.golden` writes it anew."""

from __future__ import annotations

from pathlib import Path

from .helm import CASES, EXAMPLES, template

FOLDER = Path(__file__).parent / "golden"
INPUTS: dict[str, tuple[Path, ...]] = {"default": (), **{path.stem: (path,) for path in (*EXAMPLES, *CASES)}}


def rendered(name: str) -> str:
    """All manifests of one case, without the dashboard, which is a file of its own."""
    documents = template(*INPUTS[name]).split("\n---\n")
    return "\n---\n".join(each for each in documents if "templates/dashboard.yaml" not in each)


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for stale in FOLDER.glob("*.yaml"):
        stale.unlink()
    for name in INPUTS:
        (FOLDER / f"{name}.yaml").write_text(rendered(name))
