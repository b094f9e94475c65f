"""The compiled core and nothing else: kernels, their C files, flags. Metadata is in pyproject.toml.

SIGNALBOX_CHECKED=1 builds the same sources with bounds checks, no optimisation and the address and
undefined-behaviour sanitizers; see docs/development.md for how to run the tests on that build.
"""

import os
from glob import glob

from Cython.Build import cythonize
from setuptools import Extension, setup

CHECKED = os.environ.get("SIGNALBOX_CHECKED") == "1"
SANITIZE = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-fno-omit-frame-pointer"]

# Kernel module -> the C files behind it, under csrc/.
KERNELS = {
    "scan": ["sb_json.c", "sb_walk.c", "sb_messages.c", "sb_scan.c", "sb_text.c", "sb_edits.c"],
    "edits": [],
    "envelope": ["sb_envelope.c", "sb_wire.c", "sb_json.c"],
    "surface": ["sb_surface.c", "sb_shares.c", "sb_text.c"],
    "bpe": ["sb_bpe.c", "sb_split.c", "sb_classes_table.c", "sb_text.c"],
    "wordpiece": ["sb_wordpiece.c", "sb_fold_table.c", "sb_text.c"],
    "score": ["sb_vector.c", "sb_head.c", "sb_topk.c"],
    "table": ["sb_pool.c"],
    "embed": ["sb_embed.c", "sb_pool.c", "sb_vector.c", "sb_wordpiece.c", "sb_fold_table.c", "sb_text.c"],
    "words": ["sb_words.c"],
    "personal": ["sb_personal.c", "sb_personal_words.c", "sb_personal_checks.c", "sb_personal_fold.c"],
}


def kernel(name: str, sources: list[str]) -> Extension:
    return Extension(
        f"signalbox.core.{name}",
        [f"src/signalbox/core/{name}.pyx", *(f"csrc/{source}" for source in sources)],
        include_dirs=["csrc"],
        depends=glob("csrc/*.h"),
        libraries=["m"],
        extra_compile_args=["-std=c11", "-ffp-contract=off", *(["-O0", "-g", *SANITIZE] if CHECKED else ["-O3"])],
        extra_link_args=SANITIZE if CHECKED else [],
    )


setup(
    ext_modules=cythonize(
        [kernel(name, sources) for name, sources in KERNELS.items()],
        compiler_directives={
            "language_level": 3,
            "boundscheck": CHECKED,
            "wraparound": False,
            "initializedcheck": CHECKED,
            "cdivision": True,
            "embedsignature": True,
        },
    )
)
