"""The playground that `rheostat play` opens: a page on which sliders turn the knobs, and a small server that
gives it the numbers.

answers.py says what the page is told, server.py how; the page is page.html, page.css and page.js. Every
number on it is rheostat's own: nothing is computed in the browser. `import rheostat` imports none of it.
"""

from rheostat.play.answers import Playground
from rheostat.play.server import Server

__all__ = ["Playground", "Server"]
