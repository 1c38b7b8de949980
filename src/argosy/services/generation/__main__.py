"""Entry point of one generation replica: a platform runs `python -m argosy.services.generation`."""

from argosy.services.generation.app import GenerationService
from argosy.serving.server import main

if __name__ == "__main__":
    main(GenerationService)
