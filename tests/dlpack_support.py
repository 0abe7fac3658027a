"""Exporters of DLPack for the tests: honest ones, old ones, and forged ones made with ctypes."""

import ctypes
from typing import ClassVar

import numpy as np

ROW = np.random.default_rng(3).standard_normal(29).astype(np.float32)


class Exporter:
    """A numpy array that shows nothing but its DLPack side, as DLPack 1.0 has it."""

    def __init__(self, array, device=(1, 0)):
        self.array, self.device = array, device

    def __dlpack__(self, *, max_version=None):
        return self.array.__dlpack__(max_version=max_version)

    def __dlpack_device__(self):
        return self.device


class OldExporter(Exporter):
    """From before 1.0: no ``max_version``, unversioned capsules."""

    def __dlpack__(self, stream=None):
        return self.array.__dlpack__()


class Device(ctypes.Structure):
    _fields_ = [("type", ctypes.c_int32), ("id", ctypes.c_int32)]


class Tensor(ctypes.Structure):
    _fields_ = [
        ("data", ctypes.c_void_p),
        ("device", Device),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    ]


Deleter = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class Unversioned(ctypes.Structure):
    _fields_ = [("tensor", Tensor), ("context", ctypes.c_void_p), ("deleter", Deleter)]


class Versioned(ctypes.Structure):
    _fields_ = [
        ("major", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("context", ctypes.c_void_p),
        ("deleter", Deleter),
        ("flags", ctypes.c_uint64),
        ("tensor", Tensor),
    ]


new_capsule = ctypes.pythonapi.PyCapsule_New
new_capsule.restype = ctypes.py_object
new_capsule.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]


class Forged:
    """Any ``DLTensor`` at all. ``deleted`` counts the calls of its deleter."""

    alive: ClassVar = []  # a deleter may be called late, by the garbage collector

    def __init__(
        self,
        data=ROW,
        *,
        shape=None,
        strides=None,
        versioned=True,
        major=1,
        device=(1, 0),
        claimed=(1, 0),
        **fields,
    ):
        self.alive.append(self)
        self.data = data
        self.claimed, self.deleted = claimed, 0
        shape = data.shape if shape is None else shape
        self.shape = (ctypes.c_int64 * max(len(shape), 1))(*shape)
        self.strides = None if strides is None else (ctypes.c_int64 * len(strides))(*strides)
        tensor = Tensor(data.ctypes.data, Device(*device), len(shape), 2, 32, 1, self.shape, self.strides, 0)
        for name, value in fields.items():
            setattr(tensor, name, value)
        self.deleter = Deleter(self.delete)
        if versioned:
            self.managed, self.name = (
                Versioned(major, 0, None, self.deleter, 0, tensor),
                b"dltensor_versioned",
            )
        else:
            self.managed, self.name = Unversioned(tensor, None, self.deleter), b"dltensor"

    def delete(self, _):
        self.deleted += 1

    def __dlpack__(self, **_):
        return new_capsule(ctypes.addressof(self.managed), self.name, None)

    def __dlpack_device__(self):
        return self.claimed
