"""Run the project: `python3 run.py demo`, `test`, `manage`, `serve`, `check`, `docs`. It needs Python and a network.

Old versions of Python must be able to parse this file, to report that they are too old. All other code is in
config/running.
"""

import sys

if sys.version_info < (3, 11):
    sys.stderr.write(
        "run.py: Python 3.11 or newer is needed and this is %s (%s). Install one and name it: python3.13 run.py\n"
        % (sys.version.split()[0], sys.executable)
    )
    sys.exit(1)

from config.running.main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], set_up=True))
