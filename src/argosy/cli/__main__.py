"""`python -m argosy.cli`: the command, where its script is not on the path."""

from argosy.cli.main import main

main()
