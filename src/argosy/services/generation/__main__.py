"""Runs one generation replica: `python -m argosy.services.generation`, as a platform does."""

from argosy.services.generation.app import GenerationService
from argosy.serving.server import main

if __name__ == "__main__":
    main(GenerationService)
