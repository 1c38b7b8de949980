"""Entry point of `python -m argosy.cli`, for use when the script `argosy` is not on the path."""

from argosy.cli.main import main

main()
