"""Entry point of one gateway replica: a platform runs `python -m argosy.services.gateway`."""

from argosy.services.gateway.app import GatewayService
from argosy.serving.server import main

if __name__ == "__main__":
    main(GatewayService)
