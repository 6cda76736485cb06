"""`python -m tokenwatcher run app.py`: run a program with all its calls recorded."""

from __future__ import annotations

import sys

from tokenwatcher.run import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
