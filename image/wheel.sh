#!/bin/sh
# Build the wheel of the sources here into a folder: wheel.sh DIST. Needs a C compiler; nothing after it does.
set -eu
rm -rf "$1"
python3 -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir "$1" .
