"""Instructions of a call, counted by callgrind: no clock, no noise, so a few percent more is other code.

valgrind runs this file again with a marker, a call of getppid, around N and 2 N calls of each workload; each
marker makes it write what it counted since the last. The difference of the two is N calls and nothing else;
both are counted twice and the smaller taken, for now and then an interpreter does something of its own.
valgrind knows no AVX-512, so what is counted is the AVX2 level.
"""

from __future__ import annotations

import gc
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

BASELINE = Path(__file__).with_name("counts.json")
GROWTH = 0.05
# All of it: another environment moves the stack, and with it how arrays are aligned.
ENVIRONMENT = {"PATH": os.defpath, "RHEOSTAT_SIMD": "avx2", "RAYON_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
DECISIVE = ("machine", "SIMD level", "rustc")  # where one of them differs, every count does
VERSION_COMMANDS = {"rustc": ["rustc", "--version"], "valgrind": ["valgrind", "--version"]}


def works():
    """Those that run on one thread, at one level, on rows of their own."""
    import workloads

    return [work for work in workloads.WORKS if work.topic != "AVX2" and "next(" not in work.statement]


def run_inside_valgrind() -> None:
    """The statements, on the first row of each workload, between markers. Prints N of each."""
    import rheostat

    gc.disable()
    for work in works():
        names = work.names(rheostat)[0]
        calls = 2 if "row" in names and names["row"].size > 1000 else 500
        for some in (calls, 2 * calls):
            exec(f"def call_{some}():\n for _ in range({some}): {work.statement}", names)
        names[f"call_{calls}"]()  # caches, scratch, the interpreter's specialised code
        for some in 2 * (calls, 2 * calls):
            os.getppid()
            names[f"call_{some}"]()
        os.getppid()
        print(json.dumps([work.name, calls * work.pieces]), flush=True)


def count() -> dict[str, int]:
    """Instructions of one run of each workload, for one piece."""
    with tempfile.TemporaryDirectory() as folder:
        dump = Path(folder, "callgrind.out")
        command = ["valgrind", "--tool=callgrind", "--dump-before=getppid", "--combine-dumps=yes"]
        done = subprocess.run(
            [*command, f"--callgrind-out-file={dump}", sys.executable, __file__, "--inside"],
            env=ENVIRONMENT,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise SystemExit(done.stderr)
        parts = [int(n) for n in re.findall(r"^summary: (\d+)", dump.read_text(), re.MULTILINE)]
    # Of a workload: what came before the first marker, N calls, 2 N calls, N calls, 2 N calls.
    counts = {}
    for i, line in enumerate(done.stdout.splitlines()):
        name, calls = json.loads(line)
        _, *counted = parts[5 * i : 5 * i + 5]
        counts[name] = round((min(counted[1::2]) - min(counted[::2])) / calls)
    return counts


def level() -> str:
    """The SIMD level that this CPU gives under the environment of a count."""
    code = "import rheostat; print(rheostat.build_info()['simd'])"
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=True).stdout.strip()


def versions() -> dict[str, str]:
    """What a count depends on besides the code."""
    import numpy as np

    found = {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "machine": platform.machine(),
        "SIMD level": level(),
    }
    for name, command in VERSION_COMMANDS.items():
        if shutil.which(command[0]):
            answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            found[name] = answer.split()[-1 if name == "valgrind" else 1]
    return found


def compare(counts: dict[str, int], baseline: dict) -> int:
    """Prints each count beside its baseline; 1 if one has grown or is new."""
    print(f"{'instructions, AVX2 level':<62}{'baseline':>12}{'now':>12}{'change':>9}")
    failed = False
    for name, now in counts.items():
        before = baseline["instructions"].get(name)
        change = f"{now / before - 1:>+9.1%}" if before else "      new"
        grown = before is None or now > before * (1 + GROWTH)
        failed |= grown
        print(f"{name:<62}{before or '-':>12}{now:>12}{change}{'  GREW' if grown and before else ''}")
    for what, version in versions().items():
        if baseline["versions"].get(what) != version:
            before = baseline["versions"].get(what)
            print(f"The baseline was counted with {what} {before}, this with {version}.")
    if failed:
        print("If that is meant, write the new baseline: make bench-counts UPDATE=1", file=sys.stderr)
    return failed


def main(arguments: list[str]) -> int:
    if "--inside" in arguments:
        run_inside_valgrind()
        return 0
    if not shutil.which("valgrind"):
        print("Instructions are counted by valgrind; install the package valgrind.", file=sys.stderr)
        return 1
    here = versions()
    recorded = json.loads(BASELINE.read_text())["versions"]
    other = [what for what in DECISIVE if here.get(what) != recorded.get(what)]
    if other and "--update" not in arguments:
        for what in other:
            print(f"Not compared: counted with {what} {recorded.get(what)}, here is {here.get(what)}.")
        return 0
    counts = count()
    if "--update" in arguments:
        BASELINE.write_text(json.dumps({"versions": here, "instructions": counts}, indent=2) + "\n")
        print(f"{BASELINE.name}: {len(counts)} counts")
        return 0
    return compare(counts, json.loads(BASELINE.read_text()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
