"""The commands of run.py if all packages are installed: `python -m config.running serve` in the container."""

import sys

from config.running.main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], set_up=False))
