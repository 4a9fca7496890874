"""The commands of run.py where everything is installed already, as in the container: `python -m config.running serve`."""

import sys

from config.running.main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], set_up=False))
