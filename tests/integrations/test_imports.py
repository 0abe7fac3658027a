"""Nothing of a host is imported before it is used."""

import subprocess
import sys

import pytest

HOSTS = ("llama_cpp", "onnxruntime", "transformers", "torch")


@pytest.mark.parametrize("module", ["rheostat", *(f"rheostat.integrations.{host}" for host in HOSTS[:3])])
def test_a_module_is_imported_without_any_host(module):
    program = f"import sys, {module}; print(*set(sys.modules) & {set(HOSTS)!r})"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.split() == []


def test_rheostat_does_not_import_the_adapters():
    program = "import sys, rheostat; print('rheostat.integrations' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"
