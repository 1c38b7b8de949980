"""One replica of the store service."""

from argosy.services.store.app import StoreService
from argosy.serving.server import main

if __name__ == "__main__":
    main(StoreService)
