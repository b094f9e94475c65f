#!/bin/sh
# Run tests/core on a build with bounds checks and the address and undefined-behaviour sanitizers.
# Usage: tests/core/sanitize.sh [PYTHON]    PYTHON needs the packages of the `dev` extra; gcc or clang.
#
# The build lives in a directory of its own, so the one in src/ stays as it is.
set -eu

python=$(command -v "${1:-python3}")
case $python in /*) ;; *) python=$PWD/$python ;; esac
root=$(cd "$(dirname "$0")/../.." && pwd)
build=$root/build/sanitize
libasan=$(${CC:-cc} -print-file-name=libasan.so)
libubsan=$(${CC:-cc} -print-file-name=libubsan.so)

rm -rf "$build"
mkdir -p "$build"
cp -R "$root/csrc" "$root/src" "$root/tests" "$root/setup.py" "$root/pyproject.toml" "$root/README.md" \
    "$root/LICENSE" "$root/NOTICE" "$build"
cd "$build"
rm -f src/signalbox/core/*.so src/signalbox/core/*.c
SIGNALBOX_CHECKED=1 "$python" setup.py --quiet build_ext --inplace

# Python itself leaks on purpose at exit; csrc/fuzz checks the kernels for leaks. PYTHONMALLOC gives every
# object an allocation of its own, which the sanitizer can watch.
export ASAN_OPTIONS=detect_leaks=0:abort_on_error=1 UBSAN_OPTIONS=print_stacktrace=1 PYTHONMALLOC=malloc
LD_PRELOAD="$libasan $libubsan" PYTHONPATH=src "$python" -m pytest -q -p no:cacheprovider tests/core
