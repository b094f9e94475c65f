"""`python -m signalbox`: the same as the `signalbox` command."""

import sys

from signalbox.cli import main

sys.exit(main())
