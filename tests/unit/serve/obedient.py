"""A child for tests: says what it was told, and ends as it is told.

python -m tests.unit.serve.obedient MODE --control-fd N
"""

import os
import sys

from signalbox.control import ChildEnd

mode, control = sys.argv[1], ChildEnd(int(sys.argv[3]))
if mode == "refuse":
    control.send({"type": "fatal", "error": "the port is taken"})
    sys.exit(1)
control.send({"type": "ready", "pid": os.getpid()})
for message in control.messages():
    if message["type"] == "die":
        os._exit(3)
    control.send({"type": "heard", "what": message})
