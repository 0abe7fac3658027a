"""rheostat in host programs: `llama_cpp`, `onnxruntime` and `transformers`, one module each.

None is imported with rheostat, and none imports its host before it is used. docs/hosts.md shows what changes
in a program of each kind.
"""
