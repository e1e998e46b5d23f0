"""Vision-language models assembled from plugins: the application API of libvlmhost.

    with vlm.Host() as host, host.open("medical.json") as pipeline, pipeline.session() as session:
        for part in session.stream(images=["page.png"]):
            print(part.text, end="")
"""
import json
import os

from . import _raw
from ._lib import Cancelled, Error, Handle, c_text, call, ffi, lib, new_struct
from ._results import Answer, Result, Token, Usage
from ._session import Part, Session, Stream
from ._tensor import Tensor

__all__ = ["Answer", "Cancelled", "Error", "Host", "Part", "Pipeline", "Result", "Session", "Stream", "Tensor", "Token", "Usage",
           "abi_version", "version"]

_LEVELS = {_raw.LOG_DEBUG: "debug", _raw.LOG_INFO: "info", _raw.LOG_WARNING: "warning", _raw.LOG_ERROR: "error"}


def version():
    """Version of the library, "0.1.0"."""
    return ffi.string(lib.vlm_version()).decode()


def abi_version():
    """Version of the ABI that the library was built with."""
    return lib.vlm_abi_version()


class _Owner:
    """Closes its handle at the end of a `with` block, or when nobody refers to it any more."""

    def close(self):
        self._handle.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __del__(self):
        if hasattr(self, "_handle"):
            self._handle.close()


class Host(_Owner):
    """Settings and log. `log` receives level, source and message."""

    def __init__(self, plugin_folder=None, log=None):
        options = new_struct("vlm_host_options")
        folder = ffi.NULL if plugin_folder is None else ffi.new("char[]", os.fsencode(plugin_folder))
        options.plugin_folder = folder
        if log is not None:
            def receive(_, level, source, message):
                log(_LEVELS.get(level, "error"), ffi.string(source).decode("utf-8", "replace"), ffi.string(message).decode("utf-8", "replace"))

            self._log = options.log = ffi.callback("vlm_log_fn", receive)
        pointer = ffi.new("vlm_host**")
        call(lib.vlm_host_create, options, pointer)
        self._handle = Handle(pointer[0], lib.vlm_host_destroy, "host")

    def open(self, manifest, *, base_folder=".", progress=None):
        """Opens a manifest file, a checkpoint folder, or a manifest given as a dict, whose paths are relative to `base_folder`."""
        report = ffi.NULL
        if progress is not None:
            report = ffi.callback("vlm_progress_fn", lambda _, done, total: progress(done, total))
        pointer = ffi.new("vlm_pipeline**")
        with self._handle as host:
            if isinstance(manifest, dict):
                call(lib.vlm_pipeline_open_json, host, json.dumps(manifest).encode(), os.fsencode(base_folder), report, ffi.NULL, pointer)
            else:
                call(lib.vlm_pipeline_open, host, c_text(os.fsencode(manifest), "a path"), report, ffi.NULL, pointer)
        return Pipeline(pointer[0])


class Pipeline(_Owner):
    """An opened manifest. Sessions of several threads may use it at once."""

    def __init__(self, pointer):
        self._handle = Handle(pointer, lib.vlm_pipeline_destroy, "pipeline")

    def session(self):
        """Starts a conversation."""
        return Session(self._handle)
