"""The Dockerfile's build stage, run into a folder, where no container engine is: `python -m tests.chart.image FOLDER`.

COPY copies into an empty folder, and RUN runs there, so what the Dockerfile forgets is missing here too. Only two
things are otherwise: paths (/opt/signalbox becomes FOLDER), and that a compiler is here already.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "Dockerfile"
DESTINATION = "/opt/signalbox"
WORKDIR = "/build"
VARIABLE = "SIGNALBOX_IMAGE"
UNWANTED = shutil.ignore_patterns("__pycache__", "*.so", "build", "*.egg-info")


@dataclass
class Stage:
    """One stage of a Dockerfile: its base, and its instructions with their words."""

    base: str
    instructions: list[tuple[str, str]] = field(default_factory=list)

    def all(self, name: str) -> list[str]:
        """What follows each instruction of this name."""
        return [words for instruction, words in self.instructions if instruction == name]


def stages(text: str | None = None) -> list[Stage]:
    """The stages of the Dockerfile, in order; what precedes the first is left out."""
    joined = re.sub(r"\\\n\s*", " ", text or DOCKERFILE.read_text())
    found: list[Stage] = []
    for line in joined.splitlines():
        name, _, words = line.strip().partition(" ")
        if name == "FROM":
            found.append(Stage(words))
        elif name and not name.startswith("#") and found:
            found[-1].instructions.append((name, words))
    return found


def find_image() -> Path | None:
    """Folder of a built image: $SIGNALBOX_IMAGE, or `make image`; None without one."""
    folder = Path(os.environ.get(VARIABLE) or ROOT / ".venv" / "image")
    return folder if (folder / "bin" / "signalbox").exists() else None


def build(folder: Path) -> None:
    """Run the build stage. Raises subprocess.CalledProcessError for the step that fails."""
    shutil.rmtree(folder, ignore_errors=True)
    # What may be in the way of seeing what is missing: this checkout, and where it is installed.
    kept = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
    environment = kept | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    with tempfile.TemporaryDirectory(prefix="sbx-build-") as context:
        for name, words in stages()[0].instructions:
            if name == "COPY":
                _copy(shlex.split(words), Path(context))
            elif name == "RUN" and not words.startswith("apt-get "):
                command = words.replace(DESTINATION, str(folder)).replace(WORKDIR, context)
                subprocess.run(command, shell=True, cwd=context, env=environment, check=True)


def _copy(words: list[str], context: Path) -> None:
    *sources, target = words
    for source in sources:
        into = context / target / Path(source).name if target == "./" else context / target
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, into, ignore=UNWANTED)
            for generated in into.glob("signalbox/core/*.c"):
                generated.unlink()
        else:
            shutil.copy2(ROOT / source, into)


if __name__ == "__main__":
    build(Path(sys.argv[1]).resolve())
