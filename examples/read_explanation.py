"""Reading an explanation: why did this token come, and which knob would have kept it from coming?

Run it as `python examples/read_explanation.py "The default is"`.
"""

from __future__ import annotations

import sys

import rheostat
from rheostat import lab


def least_likely(
    model: lab.Model, prompt_ids: list[int], params: rheostat.SamplingParams
) -> tuple[int, rheostat.Generation]:
    """A text, and the place of the token in it that the model itself thought least likely."""
    asked = params.replace(report=("raw_logprob",), logprobs=0)
    done = rheostat.generate(model, prompt_ids, asked, table=model.table).run()
    return min(range(len(done.ids)), key=lambda place: done.tokens[place].raw_logprob or 0.0), done


def main(prompt: str) -> int:
    model = lab.load()
    params = rheostat.SamplingParams(
        temperature=1.2, top_k=200, top_p=0.98, seed=5, max_tokens=24, ignore_eos=True
    )
    prompt_ids = model.encode(prompt)
    place, done = least_likely(model, prompt_ids, params)
    output = list(done.ids[:place])
    print(f"{prompt}{model.decode(done.ids)}\n\nThe least likely token is number {place + 1}:\n")

    logits = model([*prompt_ids, *output])
    explained = rheostat.explain(
        logits, params, prompt_ids=prompt_ids, output_ids=output, position=place, table=model.table, top=5
    )
    print(explained)

    # What the table says, as numbers: the token's own probability, and what each step took away.
    token = explained.token_id
    print(f"\nby the model {explained.before[token]:.4%}, when it was drawn {explained.after[token]:.4%}")
    for top_p in (0.9, 0.7, 0.5):
        stricter = params.replace(top_p=top_p)
        kept = rheostat.kept(logits, prompt_ids=prompt_ids, output_ids=output, **stricter.knobs())
        print(f"top_p={top_p} {'still keeps it' if token in kept else 'drops it'} ({kept.size} tokens)")
    return 0


if __name__ == "__main__":
    sys.exit(main(" ".join(sys.argv[1:]) or "The default is"))
