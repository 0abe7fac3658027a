"""Sweeps: a knob, or several, at many settings, measured; on Optuna (the extra `lab`).

>>> import tempfile
>>> from rheostat import lab
>>> from rheostat.lab import sweep
>>> subject = sweep.Decoding(lab.load(), "box", {"max_tokens": 20}, texts=2)
>>> spaces = sweep.read_spaces(["temperature=0.2,0.6,1"], subject.kinds, subject.kind)
>>> plan = sweep.Plan(subject, spaces, sweep.read_goal("perplexity", subject.metrics))
>>> with tempfile.TemporaryDirectory() as folder:  # keep the file, and the same lines go on with it
...     study = sweep.work(plan, sweep.open_storage(f"{folder}/study.db"))
...     rows = sweep.rows_of(study, plan)
>>> len(rows), sweep.best_of(rows).settings
(3, {'temperature': 0.2})

To read in this order: spaces.py (what `temperature=0.2:1.5` means), goals.py, plan.py; metrics.py,
decoding.py and training.py (what is measured); trials.py, samplers.py, storage.py and work.py (how any number
of workers share one study); results.py and pictures.py.
"""

from rheostat.extras import needed as _needed

try:
    import optuna as _optuna  # noqa: F401  # before all that needs it, for the sentence
except ImportError:
    raise ImportError(_needed("a sweep", "lab")) from None

from rheostat.lab.sweep.decoding import Decoding
from rheostat.lab.sweep.goals import Goal, Metric, read_goal
from rheostat.lab.sweep.plan import Plan, Subject
from rheostat.lab.sweep.results import Row, as_csv, as_json, best_of, rows_of
from rheostat.lab.sweep.spaces import Space, read_spaces
from rheostat.lab.sweep.storage import open_storage, open_study
from rheostat.lab.sweep.training import Training
from rheostat.lab.sweep.work import At, work

__all__ = [
    "At",
    "Decoding",
    "Goal",
    "Metric",
    "Plan",
    "Row",
    "Space",
    "Subject",
    "Training",
    "as_csv",
    "as_json",
    "best_of",
    "open_storage",
    "open_study",
    "read_goal",
    "read_spaces",
    "rows_of",
    "work",
]
