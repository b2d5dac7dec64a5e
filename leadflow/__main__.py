"""Run the program as ``python -m leadflow``."""

from leadflow.cli import main

main()
