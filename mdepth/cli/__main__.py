"""``python -m mdepth.cli`` is ``mdepth``."""

from mdepth.cli import main

main()
