"""Monocular depth estimation: networks, losses, metrics, data and runs behind the book of the same name.

Importing this package costs little more than importing torch; every part is imported by its own name, for
example ``from mdepth.models import build`` or ``from mdepth import metrics``.
"""

__version__ = "0.1.0"
