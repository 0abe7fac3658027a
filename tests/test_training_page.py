"""docs/training.md: the knobs come in order, each with a picture, when to turn it, and a command to try.

The commands themselves are run by test_docs.py.
"""

import re
from pathlib import Path

PAGE = (Path(__file__).parent.parent / "docs" / "training.md").read_text(encoding="utf-8")
KNOBS = ["Learning rate", "Weight decay", "Hidden layer size", "Dropout rate", "Batch size", "Epochs"]


def test_the_knobs_come_in_order():
    assert [title for title in re.findall(r"^## (.+)$", PAGE, re.MULTILINE) if title in KNOBS] == KNOBS
    for title in KNOBS:
        section = PAGE.split(f"## {title}\n")[1].split("\n## ")[0]
        assert re.search(r"^!\[.+\]\(training_\w+\.png\)$", section, re.MULTILINE)
        assert "**When to turn it.**" in section
        assert "```sh\nrheostat train " in section
