"""`python -m signalbox.collector`, as the supervisor starts it."""

import sys

from signalbox.collector.process import main

sys.exit(main())
