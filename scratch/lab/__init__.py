"""The study lab: ``python -m scratch lab`` shows every number of a network in a browser, ``show`` in a notebook.

``server.py`` serves the page and one binary WebSocket per tab, ``methods.py`` lists what a tab can ask for, and
``session.py`` holds what all tabs share: the model, the data and its training.  README.md has the protocol.
"""

from scratch.lab.notebook import Page, show

__all__ = ["Page", "show"]
