"""One replica of the documents service."""

from argosy.services.documents.app import DocumentsService
from argosy.serving.server import main

if __name__ == "__main__":
    main(DocumentsService)
