"""One replica of the documents service."""

import sys

from argosy.services.documents.app import DocumentsService
from argosy.serving.server import main

SWITCH_S = 0.0005
"""Chunking holds the interpreter. With Python's own 5 ms, an upload that is being accepted waits that long for each of
the threads that work, each time it has something to do."""

if __name__ == "__main__":
    sys.setswitchinterval(SWITCH_S)
    main(DocumentsService)
