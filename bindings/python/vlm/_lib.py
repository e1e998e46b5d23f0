"""Loads libvlmhost and turns its errors into exceptions.

cffi is used in ABI mode: it reads the same declarations as a C compiler, and a wheel needs no compiler and fits every Python.
"""
import os
import threading

import cffi

from . import _raw

ffi = cffi.FFI()
ffi.cdef(_raw.CDEF)


def _load():
    """VLM_LIBRARY when it is set; else what the dynamic linker finds."""
    name = os.environ.get("VLM_LIBRARY") or "libvlmhost.so.1"
    try:
        return ffi.dlopen(name)
    except OSError as error:
        raise ImportError(f"{error}; install libvlmhost, or set VLM_LIBRARY to the file") from None


lib = _load()


class Error(RuntimeError):
    """A call that failed. `code` is one of the canonical status codes, `name` its name."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code
        self.name = ffi.string(lib.vlm_status_name(code)).decode()


class Cancelled(Error):
    """The call was stopped by cancel()."""


def check(status, error):
    """Raises what a call reported. `error` is the vlm_error** that it was given."""
    if status == _raw.STATUS_OK:
        return
    message = ffi.string(lib.vlm_error_message(error[0])).decode("utf-8", "replace")
    lib.vlm_error_destroy(error[0])
    raise (Cancelled if status == _raw.STATUS_CANCELLED else Error)(status, message)


def call(function, *arguments):
    """Calls a function whose last parameter is a vlm_error**."""
    error = ffi.new("vlm_error**")
    check(function(*arguments, error), error)


def new_struct(name):
    """A zeroed struct with its two leading members set."""
    struct = ffi.new(f"{name}*")
    struct.struct_size = ffi.sizeof(name)
    struct.abi_version = _raw.ABI_VERSION
    return struct


def text_of(view):
    """A vlm_string as str."""
    return ffi.buffer(view.data, view.size)[:].decode("utf-8", "replace") if view.size else ""


def c_text(text, what):
    """A char[] of `text`, a str or (for paths) bytes; the caller keeps it."""
    if not isinstance(text, (str, bytes)):
        raise TypeError(f"{what} is a str, not {type(text).__name__}")
    data = text.encode() if isinstance(text, str) else text
    if b"\0" in data:
        raise ValueError(f"{what} has a NUL character inside, where C would end it")
    return ffi.new("char[]", data)


class Handle:
    """An owned handle that may be closed while nobody is inside a call with it. `what` is its name in messages."""

    def __init__(self, pointer, destroy, what):
        self._what = what
        self._lock = threading.Lock()
        self._pointer = pointer
        self._destroy = destroy
        self._users = 0

    def __enter__(self):
        with self._lock:
            if self._pointer is None:
                raise ValueError(f"the {self._what} is closed")
            self._users += 1
            return self._pointer

    def __exit__(self, *_):
        with self._lock:
            self._users -= 1

    def close(self):
        with self._lock:
            if self._users:
                raise RuntimeError(f"the {self._what} is in use; cancel and wait for the call before closing it")
            if self._pointer is not None:
                self._destroy(self._pointer)
            self._pointer = None
