"""Tensors of the library for NumPy and PyTorch, by DLPack and without a copy."""
import ctypes

from ._lib import ffi, lib

_NAME = b"dltensor"
_new = ctypes.pythonapi.PyCapsule_New
_new.restype, _new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
_valid = ctypes.pythonapi.PyCapsule_IsValid
_valid.restype, _valid.argtypes = ctypes.c_int, [ctypes.c_void_p, ctypes.c_char_p]
_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_pointer.restype, _pointer.argtypes = ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_char_p]


@ctypes.CFUNCTYPE(None, ctypes.c_void_p)
def _free_unused(capsule):
    """A capsule that somebody took is renamed, and the taker frees the tensor; one that nobody took is freed here."""
    if _valid(capsule, _NAME):
        lib.vlm_managed_tensor_destroy(ffi.cast("vlm_managed_tensor*", _pointer(capsule, _NAME)))


class Tensor:
    """Memory of the library. `numpy.from_dlpack(tensor)` and `torch.from_dlpack(tensor)` share it; it lives as long as any of them."""

    def __init__(self, pointer):
        self._tensor = ffi.gc(pointer, lib.vlm_managed_tensor_destroy)

    @property
    def shape(self):
        view = self._tensor.view
        return tuple(view.shape[i] for i in range(view.ndim))

    def __dlpack_device__(self):
        return self._tensor.view.device.device_type, self._tensor.view.device.device_id

    def __dlpack__(self, *, stream=None, max_version=None, dl_device=None, copy=None):
        if copy or (dl_device is not None and tuple(dl_device) != self.__dlpack_device__()):
            raise BufferError("the tensor is shared where it is; copy it afterwards")
        shared = lib.vlm_managed_tensor_share(self._tensor)
        if shared == ffi.NULL:
            raise MemoryError
        return _new(int(ffi.cast("uintptr_t", shared)), _NAME, ctypes.cast(_free_unused, ctypes.c_void_p))

    def numpy(self):
        import numpy

        return numpy.from_dlpack(self)
