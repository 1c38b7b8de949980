"""Runs one gateway replica: `python -m argosy.services.gateway`, as a platform does."""

from argosy.services.gateway.app import GatewayService
from argosy.serving.server import main

if __name__ == "__main__":
    main(GatewayService)
