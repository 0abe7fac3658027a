"""The model in the box: a small language model in NumPy, trained on English that every Python carries.

>>> import rheostat
>>> from rheostat import lab
>>> model = lab.load()
>>> ids = model.encode("Return the name of")
>>> while len(ids) < 40 and ids[-1] != model.eos_token_id:
...     ids.append(rheostat.sample(model(ids), temperature=0.7, top_p=0.9, seed=1, position=len(ids)))
>>> model.decode(ids)
'Return the name of the request-specific path to a file.'

To read in this order: vocabulary.py (text to ids), network.py (a gated recurrent unit, forwards and
backwards), optimiser.py, text.py (what it is trained on), ngram.py (what it has to beat), train.py,
and model.py and reader.py, how it is used. `import rheostat` imports none of it.

The weights are stored as int8 with a scale for each row; computed is in float32. One machine gives the same
logits for the same ids, whatever was called before, and with any number of threads, of which one is used. Two
machines may differ in the last bits, for sums are those of the BLAS under NumPy: what rheostat makes of given
logits is the same everywhere, the logits are not.
"""

from rheostat.lab.model import Model, load, save

__all__ = ["Model", "load", "save"]
