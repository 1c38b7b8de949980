"""Entry point of a replica of the documents service."""

import sys

from argosy.services.documents.app import DocumentsService
from argosy.serving.server import main

SWITCH_S = 0.0005
"""Thread switch interval of the interpreter. Chunking holds the interpreter lock; with Python's default of 5 ms, an
upload would wait that long for each working thread every time it needs the lock."""

if __name__ == "__main__":
    sys.setswitchinterval(SWITCH_S)
    main(DocumentsService)
