"""A GGUF model in llama-cpp-python, with rheostat in place of its sampler.

Run it as `python examples/in_llama_cpp.py model.gguf "Water boils at"`; it needs
`pip install '.[llama-cpp]'`.
"""

from __future__ import annotations

import sys

import llama_cpp
from rheostat import SamplingParams
from rheostat.integrations.llama_cpp import generate


def main(path: str, prompt: str) -> int:
    llm = llama_cpp.Llama(path, n_ctx=256, verbose=False)
    recommended = SamplingParams.from_gguf(llm.metadata).params  # what the model's file asks for
    params = recommended.replace(temperature=0.8, top_p=0.9, seed=42, max_tokens=48, stop=["\n\n"])
    text = generate(llm, prompt, params)
    for step in text:
        print(step.text, end="", flush=True)
    print(f"\n({text.finish_reason}, {text.timings.tokens} tokens, seed {text.seed})", file=sys.stderr)
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit('usage: python in_llama_cpp.py MODEL.gguf "PROMPT"')
    sys.exit(main(*sys.argv[1:]))
