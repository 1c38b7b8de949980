"""One replica of the store service."""

from argosy.serving.server import main
from argosy.services.store.app import StoreService

if __name__ == "__main__":
    main(StoreService)
