#!/bin/sh
# Make a virtual environment of the wheel in a folder, with the dependencies of constraints.txt: install.sh DIST FOLDER.
# Wheels alone, so nothing is compiled here, and without pip, so nothing can be installed later.
set -eu
python3 -m venv --without-pip "$2"
python3 -m pip --quiet --disable-pip-version-check --python "$2/bin/python3" install \
    --only-binary :all: --no-compile --constraint "$(dirname "$0")/constraints.txt" "$1"/signalbox-*.whl
# Commands of the dependencies are nobody's business in here.
find "$2/bin" -type f ! -name signalbox -delete
# Now, because at run time nobody may write beside them.
"$2/bin/python3" -m compileall -q -j 0 "$2/lib"
# What an inventory should find, for those who have no scanner.
python3 -m pip --disable-pip-version-check --python "$2/bin/python3" freeze --exclude signalbox >"$2/packages.txt"
