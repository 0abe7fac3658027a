"""The model in the box: a small language model in NumPy, trained on English that every Python carries; and
the training of your own.

>>> import rheostat
>>> from rheostat import lab
>>> model = lab.load()
>>> ids = model.encode("Return the name of")
>>> while len(ids) < 40 and ids[-1] != model.eos_token_id:
...     ids.append(rheostat.sample(model(ids), temperature=0.7, top_p=0.9, seed=1, position=len(ids)))
>>> model.decode(ids)
'Return the name of the request-specific path to a file.'

To read in this order: vocabulary.py (text to ids), network.py (a gated recurrent unit, forwards and
backwards), optimiser.py, knobs.py and schedules.py (what can be chosen), corpus.py (a text as it is read),
trainer.py (update after update), training.py (`train_text`), checkpoint.py, curves.py; text.py, ngram.py and
train.py make the model in the box; and model.py and reader.py are how one is used. `import rheostat` imports
none of it.

The weights are stored as int8 with a scale for each row; computed is in float32. One machine gives the same
logits for the same ids, whatever was called before, and with any number of threads, of which one is used. Two
machines may differ in the last bits, for sums are those of the BLAS under NumPy: what rheostat makes of given
logits is the same everywhere, the logits are not.
"""

from typing import TYPE_CHECKING

from rheostat.lazy_names import lazily

# Whoever reads with a model needs no training: each name is loaded on use.
if TYPE_CHECKING:
    from rheostat.lab.checkpoint import CheckpointError, read_knobs
    from rheostat.lab.corpus import CorpusError
    from rheostat.lab.knobs import TrainingKnobs
    from rheostat.lab.model import Model, load, save
    from rheostat.lab.trainer import DivergedError, Epoch, Progress
    from rheostat.lab.training import Training, train_text
else:
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "CheckpointError": "checkpoint",
            "CorpusError": "corpus",
            "DivergedError": "trainer",
            "Epoch": "trainer",
            "Model": "model",
            "Progress": "trainer",
            "Training": "training",
            "TrainingKnobs": "knobs",
            "load": "model",
            "read_knobs": "checkpoint",
            "save": "model",
            "train_text": "training",
        },
    )

__all__ = [
    "CheckpointError",
    "CorpusError",
    "DivergedError",
    "Epoch",
    "Model",
    "Progress",
    "Training",
    "TrainingKnobs",
    "load",
    "read_knobs",
    "save",
    "train_text",
]
