"""`python -m nightmill.cli` is `nightmill`."""

from nightmill.cli.app import main

main()
