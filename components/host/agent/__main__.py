"""Where the program starts."""

import os
import sys

from agent.commands import main

os.umask(0o022)
sys.exit(main(sys.argv))
