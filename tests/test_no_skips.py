"""`pytest --no-skips`, by which continuous integration knows that every host program was tested."""

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
MODULES = {
    "test_all.py": "import pytest\npytest.importorskip('there_is_none')\n",
    "test_one.py": "import pytest\ndef test_a():\n    pytest.skip('it rains')\ndef test_b():\n    pass\n",
}


def test_a_skipped_module_and_a_skipped_test_are_failures(tmp_path):
    for name, text in MODULES.items():
        (tmp_path / name).write_text(text)
    command = [sys.executable, "-m", "pytest", "-p", "conftest", "-p", "no:cacheprovider", str(tmp_path)]
    more = ["--continue-on-collection-errors", "--no-skips"]
    env = os.environ | {"PYTHONPATH": str(HERE)}
    plain, strict = (
        subprocess.run([*command, *given], capture_output=True, text=True, env=env, cwd=tmp_path)
        for given in ([], more)
    )
    assert plain.returncode == 0, plain.stdout
    assert "1 passed, 2 skipped" in plain.stdout
    assert strict.returncode == 1
    assert "1 failed, 1 passed, 1 error" in strict.stdout
    assert "must not be skipped: Skipped: it rains" in strict.stdout
