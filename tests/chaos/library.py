"""Documents of the chaos fleets: ten tugs, each of a unique colour."""

from __future__ import annotations

TUGS = {
    "Widgeon": "crimson",
    "Smew": "ochre",
    "Pochard": "turquoise",
    "Gadwall": "indigo",
    "Shoveler": "magenta",
    "Pintail": "olive",
    "Garganey": "scarlet",
    "Goldeneye": "lavender",
    "Merganser": "beige",
    "Scoter": "maroon",
}
TEXTS = {
    f"{name}.md": f"# The {name}\n\nThe tug {name} is painted {colour}.\n\nShe berths at pier {pier} of the harbour."
    for pier, (name, colour) in enumerate(TUGS.items(), start=1)
}
