"""`python -m giga_bringup VERB ...`: the verbs of `giga`, for whoever already has the environment."""

import sys

from giga_bringup.command_line import main

sys.exit(main(sys.argv[1:]))
