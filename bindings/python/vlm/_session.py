"""Conversations: answering, streaming, batches, encoding.

The library answers on the thread that asks and calls back with text. An iterator is the other way round, so a stream answers on a
thread of its own and hands the text over through a queue. That thread also keeps what the callbacks raise.
"""
import asyncio
import queue
import threading
from dataclasses import dataclass

from ._images import listed, source_of
from ._lib import Handle, c_text, call, ffi, lib, new_struct
from ._results import Result
from ._tensor import Tensor


@dataclass(frozen=True)
class Part:
    """New text of the answer with this index."""
    text: str
    answer: int = 0


def _options_of(options, keep):
    """vlm_generation_options* from keyword arguments; NULL when there are none."""
    if not options:
        return ffi.NULL
    struct = new_struct("vlm_generation_options")
    stops = options.pop("stop", None)
    for name, value in options.items():
        if name in ("struct_size", "abi_version", "stops", "stop_count") or not hasattr(struct, name):
            raise TypeError(f"there is no generation option '{name}'")
        # 0 means "the manifest's" in C; what a caller of Python writes is meant.
        setattr(struct, name, -1 if name in ("temperature", "top_k") and value == 0 else value)
    if stops is not None:
        texts = [c_text(s, "a stop string") for s in ([stops] if isinstance(stops, str) else stops)]
        struct.stops = array = ffi.new("char*[]", texts)
        struct.stop_count = len(texts)
        keep += [*texts, array]
    keep.append(struct)
    return struct


class _Request:
    """A vlm_generate_request with all that it points at, and the callback that feeds it."""

    def __init__(self, prompt=None, images=(), *, raw_prompt=False, texts=(), stream=None, **options):
        self.keep, self.raised = [], None
        self.struct = struct = new_struct("vlm_generate_request")
        if prompt is not None:
            struct.prompt = self._text(prompt, "the prompt")
        sources = [source_of(image, self.keep) for image in listed(images)]
        struct.images, struct.image_count = self._array("vlm_image_source*[]", sources), len(sources)
        labels = [self._text(text, "a text") for text in ([texts] if isinstance(texts, str) else texts)]
        struct.texts, struct.text_count = self._array("char*[]", labels), len(labels)
        struct.raw_prompt = raw_prompt
        struct.generation = _options_of(options, self.keep)
        if stream is not None:
            struct.answer_stream = callback = ffi.callback("vlm_answer_stream_fn", self._receiver(stream))
            self.keep.append(callback)

    def _text(self, text, what):
        self.keep.append(c_text(text, what))
        return self.keep[-1]

    def _array(self, kind, values):
        self.keep.append(ffi.new(kind, values) if values else ffi.NULL)
        return self.keep[-1]

    def _receiver(self, stream):
        def receive(_, answer, text, size):
            try:
                return 0 if stream(Part(ffi.buffer(text, size)[:].decode("utf-8", "replace"), answer)) is False else 1
            except BaseException as error:  # must not pass through C; the caller raises it
                self.raised = self.raised or error
                return 0

        return receive


class Session:
    """One conversation. One call at a time; cancel() from any thread."""

    def __init__(self, pipeline_handle):
        pointer = ffi.new("vlm_session**")
        with pipeline_handle as pipeline:
            call(lib.vlm_session_create, pipeline, pointer)
        self._handle = Handle(pointer[0], lib.vlm_session_destroy, "session")

    def generate(self, prompt=None, images=(), **more):
        """Answers one turn; see the stub for the arguments. `stream` receives each Part; when it returns False the answer ends."""
        return self._generate(_Request(prompt, images, **more))

    def _generate(self, request):
        result = ffi.new("vlm_result**")
        with self._handle as session:
            call(lib.vlm_generate, session, request.struct, result)
        made = Result(result[0])
        if request.raised is not None:
            raise request.raised
        return made

    def generate_batch(self, requests, **options):
        """Answers requests that have nothing to do with each other, together. Each is a dict of arguments of generate()."""
        keep = []
        made = [_Request(**request) for request in requests]
        pointers = ffi.new("vlm_generate_request*[]", [request.struct for request in made])
        results = ffi.new("vlm_result*[]", len(made))
        with self._handle as session:
            call(lib.vlm_generate_batch, session, pointers, len(made), _options_of(options, keep), results)
        found = [Result(result) for result in results]
        for request in made:
            if request.raised is not None:
                raise request.raised
        return found

    def stream(self, prompt=None, images=(), **more):
        """The same as generate(), as an iterator over Parts; `result` of the iterator is there when it has ended."""
        return Stream(self, prompt, images, more)

    def encode(self, image, prompt=None):
        """Visual tokens of an image, `[rows, width]` float32."""
        keep = []
        tensor = ffi.new("vlm_managed_tensor**")
        with self._handle as session:
            call(lib.vlm_encode_image, session, source_of(image, keep), ffi.NULL if prompt is None else c_text(prompt, "the prompt"), tensor)
        return Tensor(tensor[0])

    def cancel(self):
        """Stops the call that runs, or else the next one."""
        with self._handle as session:
            lib.vlm_cancel(session)

    def reset_cancel(self):
        """Takes back a cancel() that no call has met."""
        with self._handle as session:
            lib.vlm_cancel_reset(session)

    def close(self):
        self._handle.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __del__(self):
        if hasattr(self, "_handle"):
            self._handle.close()


class _Worker:
    """The thread's side of a stream. It does not know the stream, so that dropping the stream stops it."""

    def __init__(self, session, prompt, images, more):
        self.session, self.parts = session, queue.SimpleQueue()
        self.error = self.result = None
        request = _Request(prompt, images, stream=self.parts.put, **more)
        self.thread = threading.Thread(target=self._run, args=(request,), name="vlm-stream")
        self.thread.start()

    def _run(self, request):
        try:
            self.result = self.session._generate(request)
        except BaseException as error:
            self.error = error
        self.parts.put(None)


class Stream:
    """Parts of an answer while it grows, for `for` and `async for`. Leaving it early cancels the answer."""

    def __init__(self, session, prompt, images, more):
        self._ended = False
        self._worker = _Worker(session, prompt, images, more)

    def __iter__(self):
        return self

    def __next__(self):
        part = None if self._ended else self._worker.parts.get()
        if part is not None:
            return part
        if not self._ended:
            self._ended = True
            self._worker.parts.put(None)  # for whoever else waits: a cancelled __anext__ leaves its thread behind
            self._worker.thread.join()
        if self._worker.error is not None:  # again and again: an answer that was cut short must not look complete
            raise self._worker.error
        raise StopIteration

    def __aiter__(self):
        return self

    async def __anext__(self):
        try:
            part = await asyncio.get_running_loop().run_in_executor(None, next, self, None)
        except asyncio.CancelledError:
            self._worker.session.cancel()
            raise
        if part is None:
            raise StopAsyncIteration
        return part

    @property
    def result(self):
        """The result, once the iterator has ended."""
        if self._worker.result is None:
            raise RuntimeError("the answer has not ended, or has failed")
        return self._worker.result

    def close(self):
        """Stops the answer when it is still growing, and waits for that."""
        worker = self._worker
        if not self._ended and worker.thread.is_alive():
            worker.session.cancel()
            worker.thread.join()
            worker.session.reset_cancel()  # it may have come too late
        self._ended = True
        worker.error = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __del__(self):
        if hasattr(self, "_worker"):
            self.close()
