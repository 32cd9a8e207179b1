"""Where the program starts."""

import os
import sys

from agent.commands import main

os.umask(0o022)
# Python was told to ignore these two, and so shall be those that it starts: pip, and that of an installed Triton.
for name in ("PYTHONHOME", "PYTHONPATH"):
    os.environ.pop(name, None)
sys.exit(main(sys.argv))
