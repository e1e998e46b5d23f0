"""Everything that Python calls an image, as vlm_image_source.

NumPy and Pillow are not imported: arrays are recognised by `__array_interface__`, other tensors by `__dlpack__`, Pillow images by
their methods. So the package works without either.
"""
import os

from ._lib import c_text, ffi, new_struct
from . import _raw


def _from_array(interface, keep):
    if interface["typestr"] not in ("|u1", "<u1", "u1"):
        raise TypeError(f"an image array has elements of type uint8, not '{interface['typestr']}'")
    shape = interface["shape"]
    view = ffi.new("vlm_tensor_view*")
    sizes = ffi.new("int64_t[]", list(shape))
    view.data = ffi.cast("void*", interface["data"][0])
    view.device.device_type = _raw.DEVICE_CPU
    view.ndim = len(shape)
    view.dtype.code, view.dtype.bits, view.dtype.lanes = _raw.TYPE_UINT, 8, 1
    view.shape = sizes
    keep += [view, sizes]
    if interface.get("strides"):
        view.strides = strides = ffi.new("int64_t[]", list(interface["strides"]))  # in bytes, which are elements here
        keep.append(strides)
    return view


def _from_pillow(image, keep):
    if image.mode not in ("L", "RGB", "RGBA"):
        image = image.convert("RGBA" if "A" in image.mode or "transparency" in image.info else "RGB")
    data = image.tobytes()
    pixels = ffi.from_buffer(data)
    keep += [data, pixels]
    shape = (image.height, image.width, len(image.getbands()))
    return _from_array({"typestr": "|u1", "shape": shape, "data": (int(ffi.cast("uintptr_t", pixels)), True)}, keep)


def listed(images):
    """What was given for `images`: several, or one as it is. A str is not taken for a list of its characters."""
    one = isinstance(images, (str, os.PathLike, bytes, bytearray, memoryview)) or any(
        hasattr(images, name) for name in ("getbands", "__array_interface__", "__dlpack__"))
    return [images] if one else images


def source_of(image, keep, name=None):
    """A vlm_image_source*; what it points at is appended to `keep`, which must live as long as it is used."""
    source = new_struct("vlm_image_source")
    if isinstance(image, (str, os.PathLike)):
        source.path = path = c_text(os.fsencode(image), "a path")  # the struct's own member would not keep it
        keep.append(path)
    elif isinstance(image, (bytes, bytearray, memoryview)):
        data = ffi.from_buffer("uint8_t[]", image)
        source.encoded, source.encoded_size = data, len(data)
        keep.append(data)
    elif hasattr(image, "tobytes") and hasattr(image, "getbands"):
        source.tensor = _from_pillow(image, keep)
    elif hasattr(image, "__array_interface__"):
        source.tensor = _from_array(image.__array_interface__, keep)
    elif hasattr(image, "__dlpack__"):
        import numpy

        array = numpy.from_dlpack(image)
        keep.append(array)
        source.tensor = _from_array(array.__array_interface__, keep)
    else:
        raise TypeError(f"an image is a path, encoded bytes, a Pillow image or an array of uint8, not {type(image).__name__}")
    if name is not None:
        source.name = text = c_text(name, "a name")
        keep.append(text)
    keep += [source, image]
    return source
