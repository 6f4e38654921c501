"""Run the command line with `python -m multiace`."""

from multiace.cli.main import main

main()
