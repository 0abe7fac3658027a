"""An exported decoder in onnxruntime, with rheostat in place of a sampler in NumPy.

Run it as `python examples/in_onnxruntime.py model.onnx tokenizer.json "Water boils at"`; it needs
`pip install '.[onnxruntime]' tokenizers`.
"""

from __future__ import annotations

import sys

import onnxruntime
import rheostat
import tokenizers
from rheostat.integrations.onnxruntime import OnnxModel


def main(path: str, tokenizer_path: str, prompt: str) -> int:
    tokenizer = tokenizers.Tokenizer.from_file(tokenizer_path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    table = rheostat.TokenTable.from_tokenizers(tokenizer)
    params = rheostat.SamplingParams(temperature=0.8, top_p=0.9, seed=42, max_tokens=48, stop=["\n\n"])
    text = rheostat.generate(OnnxModel(session), tokenizer.encode(prompt).ids, params, table=table)
    for step in text:
        print(step.text, end="", flush=True)
    print(f"\n({text.finish_reason}, {text.timings.tokens} tokens, seed {text.seed})", file=sys.stderr)
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit('usage: python in_onnxruntime.py MODEL.onnx TOKENIZER.json "PROMPT"')
    sys.exit(main(*sys.argv[1:]))
