"""Entry point of one replica of a custom service."""

import os
import sys

from argosy.services.custom.app import CustomService
from argosy.serving.server import main

if __name__ == "__main__":
    sys.path.insert(0, os.getcwd())
    main(CustomService)
