"""Pictures of printed text: pages drawn by the PDF reader that Argosy itself depends on, with its built-in font."""

from __future__ import annotations

import pypdfium2

from tests.samples.make_samples import Picture, pdf

DOTS_PER_POINT = 200 / 72
"""Resolution of a scanner, in dots per inch."""


def picture_of(heading: str, *lines: str) -> Picture:
    """Return the top of a page with that printed on it."""
    document = pypdfium2.PdfDocument(pdf([(heading, lines)]))
    below = 842 - 120 - 16 * len(lines)
    drawn = document[0].render(scale=DOTS_PER_POINT, grayscale=True, crop=(0, below, 0, 0))
    rows = bytes(drawn.buffer)
    pixels = b"".join(rows[at * drawn.stride : at * drawn.stride + drawn.width] for at in range(drawn.height))
    document.close()
    return Picture(drawn.width, drawn.height, pixels)
