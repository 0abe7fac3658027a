"""What a model recommends for itself, as fields of `SamplingParams`: transformers' generation_config.json and
the metadata of a GGUF file. Each field is given with its source, and what could not be used is named.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from rheostat.errors import KnobError
from rheostat.reference.table import STEPS


class Found(NamedTuple):
    """Fields, unchecked; for each the file and key it came from; what the source says beside them."""

    fields: dict[str, Any]
    sources: dict[str, str]
    ignored: dict[str, Any]


# transformers 5.23: GenerationConfig's names and ours.
HF_ALWAYS = {
    "eos_token_id": "eos_token_id",
    "max_new_tokens": "max_tokens",
    "max_length": "context_length",
    "min_new_tokens": "min_tokens",
    "stop_strings": "stop",
    "repetition_penalty": "repetition_penalty",
    "no_repeat_ngram_size": "no_repeat_ngram_size",
    "bad_words_ids": "bad_words",
    "suppress_tokens": "banned_token_ids",
    "sequence_bias": "sequence_bias",
}
# Greedy search reads none of these.
HF_SAMPLING = (
    "temperature", "top_k", "top_p", "min_p", "top_h", "typical_p", "epsilon_cutoff", "eta_cutoff",
)  # fmt: skip
HF_TOP_K = 50  # generate's, where the file has none

# llama.cpp: the keys of a file's recommended sampling, and where the sampler's type is an integer.
GGUF_SAMPLING = {
    "temp": "temperature",
    "top_k": "top_k",
    "top_p": "top_p",
    "min_p": "min_p",
    "xtc_probability": "xtc_probability",
    "xtc_threshold": "xtc_threshold",
    "penalty_repeat": "repetition_penalty",
    "penalty_last_n": "penalty_last_n",
    "mirostat": "mirostat",
    "mirostat_tau": "mirostat_tau",
    "mirostat_eta": "mirostat_eta",
}
GGUF_INTEGERS = ("top_k", "penalty_last_n", "mirostat")
GGUF_EOS = ("eos_token_id", "eot_token_id", "eom_token_id")
GGUF_STEPS = {
    "temp": "temperature", "typ": "typical_p", "typ_p": "typical_p", "typical": "typical_p",
    "nucleus": "top_p",
}  # fmt: skip
GGUF_LAST_N = 64  # llama.cpp's own, where the file has none
GGUF_WHOLE_HISTORY = 2**31 - 1


def read_generation_config(source: Mapping[str, Any] | str | os.PathLike[str]) -> Found:
    """A GenerationConfig as `generate` reads it: greedy without do_sample, with it top_k 50 unless set."""
    config, place, more = _configs(source)
    given = {name: value for name, value in config.items() if value is not None}
    fields: dict[str, Any] = {"chain": "hf"}
    sources = {"chain": "the order of transformers"}
    names = dict(HF_ALWAYS)
    if given.get("do_sample") is True:
        names |= {name: name for name in HF_SAMPLING}
        fields["top_k"], sources["top_k"] = HF_TOP_K, "the default of transformers"
    else:
        fields["temperature"] = 0
        sources["temperature"] = (
            f"{place}do_sample" if "do_sample" in given else "the default of transformers"
        )
    if "max_new_tokens" in given:
        del names["max_length"]  # which generate then computes from it
    for key, name in names.items():
        if key in given:
            fields[name], sources[name] = given[key], f"{place}{key}"
    if "sequence_bias" in given:
        fields["sequence_bias"] = _sequence_bias(given["sequence_bias"])
    if "eos_token_id" not in given and more is not None:
        fields["eos_token_id"], sources["eos_token_id"] = more
    used = {*names, "do_sample"}
    return Found(fields, sources, {name: value for name, value in given.items() if name not in used})


def read_gguf(metadata: Mapping[str, Any]) -> Found:
    """The keys general.sampling.* as llama.cpp reads them, and the ids that end a text, turn or message."""
    if not isinstance(metadata, Mapping):
        raise TypeError(f"metadata must be a mapping of keys to values, got {type(metadata).__name__}")
    metadata = {key: value for key, value in metadata.items() if not _is_nothing(value)}
    prefix = "general.sampling."
    fields: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for key, name in GGUF_SAMPLING.items():
        if prefix + key in metadata:
            fields[name] = _gguf_number(prefix + key, metadata[prefix + key], key in GGUF_INTEGERS)
            sources[name] = prefix + key
    if fields.get("penalty_last_n") == -1:
        fields["penalty_last_n"] = GGUF_WHOLE_HISTORY
    elif "repetition_penalty" in fields and "penalty_last_n" not in fields:
        fields["penalty_last_n"], sources["penalty_last_n"] = GGUF_LAST_N, "the default of llama.cpp"
    fields["chain"], sources["chain"] = "llama.cpp", "the order of llama.cpp"
    _gguf_chain(metadata.get(prefix + "sequence"), fields, sources)
    eos = [f"tokenizer.ggml.{key}" for key in GGUF_EOS if f"tokenizer.ggml.{key}" in metadata]
    if eos:
        ids = [_gguf_number(key, metadata[key], True) for key in eos]
        fields["eos_token_id"], sources["eos_token_id"] = list(dict.fromkeys(ids)), ", ".join(eos)
    used = {*sources.values()}
    ignored = {key: metadata[key] for key in metadata if key.startswith(prefix) and key not in used}
    return Found(fields, sources, ignored)


def _configs(
    source: Mapping[str, Any] | str | os.PathLike[str],
) -> tuple[Mapping[str, Any], str, tuple[Any, str] | None]:
    """The config, what to put before its keys, and an EOS id that stands beside it with its source."""
    if isinstance(source, Mapping):
        return source, "", None
    if not isinstance(source, str | os.PathLike):
        raise TypeError(f"source must be a mapping or a path, got {type(source).__name__}")
    path, beside = Path(source), None
    if path.is_dir():
        model = path / "config.json"
        path = path / "generation_config.json"
        beside = _eos_of_model(model) if model.exists() else None
        if beside is not None and not path.exists():
            return {}, "", beside
    return _object(path), f"{path}: ", beside


def _eos_of_model(path: Path) -> tuple[Any, str] | None:
    """The EOS of a model's config, which generate takes where the generation config has none."""
    config = _object(path)
    texts = config.get("text_config")
    for key, part in (("eos_token_id", config), ("text_config.eos_token_id", texts)):
        if isinstance(part, dict) and part.get("eos_token_id") is not None:
            return part["eos_token_id"], f"{path}: {key}"
    return None


def _object(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except RecursionError:
        raise KnobError(
            f"source must be JSON, got one nested too deeply in {path}", "source", str(path)
        ) from None
    except ValueError as error:
        raise KnobError(f"source must be JSON, got {error} in {path}", "source", str(path)) from None
    if not isinstance(found, dict):
        got = f"{type(found).__name__} in {path}"
        raise KnobError(f"source must be a JSON object, got {got}", "source", str(path))
    return found


def _sequence_bias(value: Any) -> Any:
    """transformers writes pairs of ids and bias into the file."""
    if not isinstance(value, list):
        return value
    try:
        return {tuple(ids): bias for ids, bias in value}
    except (TypeError, ValueError):
        message = f"sequence_bias must hold pairs of ids and bias, got {value!r}"
        raise KnobError(message, "sequence_bias", value) from None


def _gguf_number(key: str, value: Any, integer: bool) -> Any:
    """A number, which llama.cpp gives as text."""
    if isinstance(value, int | float):
        return value
    try:
        if hasattr(value, "item"):
            return value.item()
        return int(value) if integer else float(value)
    except (TypeError, ValueError):
        wanted = "an integer" if integer else "a number"
        raise KnobError(f"metadata must hold {wanted} as {key}, got {value!r}", "metadata", value) from None


def _is_nothing(value: Any) -> bool:
    return value is None or (isinstance(value, str | list | tuple) and not value)


def _gguf_chain(sequence: Any, fields: dict[str, Any], sources: dict[str, str]) -> None:
    """The order of the samplers. What is not in it does not run, as in llama.cpp; with mirostat, temperature
    and mirostat alone do.
    """
    key = "general.sampling.sequence"
    if fields.get("mirostat"):
        chain, source = ["temperature", "mirostat"], "the order of llama.cpp with mirostat"
        stays = {"mirostat_tau", "mirostat_eta", *chain}
    elif sequence is None:
        return
    elif isinstance(sequence, str):
        names = [name.strip().replace("-", "_") for name in sequence.split(";")]
        named = [GGUF_STEPS.get(name, name) for name in names]
        for name, given in zip(named, names, strict=True):
            if name not in (*STEPS, "penalties", "dry"):
                raise KnobError(
                    f"metadata must hold known samplers as {key}, got {given!r}", "metadata", given
                )
        chain, source = [name for name in named if name not in ("penalties", "dry")], key
        stays = {"xtc_threshold", "xtc_probability"} if "xtc" in chain else set()
        stays |= {"repetition_penalty", "penalty_last_n"} if "penalties" in named else set()
        stays |= {*chain, "mirostat", "mirostat_tau", "mirostat_eta"}
    else:
        raise TypeError(f"metadata must hold a str as {key}, got {type(sequence).__name__}")
    fields["chain"], sources["chain"] = tuple(chain), source
    for name in [name for name in fields if name not in {"chain", *stays}]:
        del fields[name], sources[name]
