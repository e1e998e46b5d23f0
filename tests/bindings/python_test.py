#!/usr/bin/env python3
"""The Python package: what it makes of images, streams, batches, tensors, errors and threads.

Usage: python_test.py SOURCE_FOLDER, with vlm importable. Exit status 77 (skipped) without cffi, NumPy or Pillow, or the reader's weights.
"""
import asyncio
import gc
import pathlib
import sys
import tempfile
import threading
import unittest

source = pathlib.Path(sys.argv.pop(1)).resolve()
ROW = source / "tests/data/rx_rows/english_entry.png"
MODEL = source / "models/rx-small"
try:
    import numpy
    from PIL import Image

    import vlm
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)
if not (MODEL / "model.safetensors").exists():
    print("skipped: models/rx-small has no weights")
    sys.exit(77)

MANIFEST = {"model": str(MODEL), "use_template": False, "prompt": "<|vision_start|><|image_pad|><|vision_end|>",
            "generation": {"max_new_tokens": 24}}
ENDLESS = {**MANIFEST, "max_context": 16384, "generation": {"max_new_tokens": 1000000, "ignore_eos": True}}


class Bindings(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.host = vlm.Host()
        cls.pipeline = cls.host.open(MANIFEST)
        cls.endless = cls.host.open(ENDLESS)
        with cls.pipeline.session() as session:
            cls.text = session.generate(images=[ROW]).text
        assert cls.text

    def setUp(self):
        self.session = self.pipeline.session()
        self.addCleanup(self.session.close)

    def test_every_kind_of_image_gives_the_same_tokens(self):
        picture = Image.open(ROW).convert("RGB")
        array = numpy.asarray(picture)
        planes = numpy.ascontiguousarray(array.transpose(2, 0, 1))
        wide = numpy.zeros((array.shape[0], array.shape[1] + 7, 3), numpy.uint8)
        wide[:, 3:-4] = array
        expected = self.session.encode(ROW).numpy()
        self.assertEqual(expected.dtype, numpy.float32)
        self.assertGreater(abs(expected).max(), 0)
        kinds = {"str": str(ROW), "bytes": ROW.read_bytes(), "pillow": picture, "pillow RGBA": picture.convert("RGBA"), "array": array,
                 "planes": planes.transpose(1, 2, 0), "cut": wide[:, 3:-4], "upside down twice": array[::-1][::-1]}
        for name, image in kinds.items():
            with self.subTest(name), self.pipeline.session() as session:
                numpy.testing.assert_array_equal(session.encode(image).numpy(), expected)
        with self.pipeline.session() as session:
            self.assertFalse(numpy.array_equal(session.encode(array[::-1]).numpy()[:len(expected)], expected))

    def test_what_is_no_image_is_refused(self):
        for image in (numpy.zeros((4, 4, 3), numpy.float32), 7, numpy.zeros((4, 4, 3), numpy.int8)):
            with self.assertRaisesRegex(TypeError, "uint8"):
                self.session.encode(image)
        with self.assertRaisesRegex(vlm.Error, r"\[4, 4, 2\]") as caught:
            self.session.encode(numpy.zeros((4, 4, 2), numpy.uint8))
        self.assertEqual(caught.exception.name, "INVALID_ARGUMENT")

    def test_tensors_share_memory_and_outlive_everything(self):
        tensor = self.session.encode(ROW)
        first, second = tensor.numpy(), tensor.numpy()
        self.assertEqual(first.shape, tensor.shape)
        self.assertEqual(first.__array_interface__["data"][0], second.__array_interface__["data"][0])
        copy = first.copy()
        capsule = tensor.__dlpack__()  # taken by nobody
        del tensor, second, capsule
        self.session.close()
        gc.collect()
        numpy.testing.assert_array_equal(first, copy)

    def test_results_are_values(self):
        result = self.session.generate(images=[ROW])
        self.assertEqual(result.text, self.text)
        self.assertEqual(result.to_dict()["text"], self.text)
        (answer,) = result.answers
        self.assertEqual((answer.text, answer.image), (self.text, -1))
        self.assertEqual(answer.finish_reason, result.to_dict()["finish_reason"])
        self.assertEqual(len(answer.tokens), result.usage.generated_tokens)
        self.assertTrue(all(token.log_probability <= 0 for token in answer.tokens))
        with self.assertRaisesRegex(vlm.Error, "image_embeddings"):
            result.tensor("image_embeddings")

    def test_streams_give_the_text_in_parts(self):
        with self.session.stream(images=[ROW]) as stream:
            parts = list(stream)
        self.assertEqual("".join(part.text for part in parts), self.text)
        self.assertGreater(len(parts), 1)
        self.assertEqual(stream.result.text, self.text)

    def test_a_callback_may_stop_or_raise(self):
        result = self.session.generate(images=[ROW], stream=lambda part: False)
        self.assertLess(len(result.text), len(self.text))

        def fail(part):
            raise KeyError("mine")

        with self.pipeline.session() as session, self.assertRaisesRegex(KeyError, "mine"):
            session.generate(images=[ROW], stream=fail)

    def test_leaving_a_stream_cancels(self):
        with self.endless.session() as session:
            with session.stream(images=[ROW]) as stream:
                next(stream)
                with self.assertRaisesRegex(RuntimeError, "has not ended"):
                    _ = stream.result
            for _ in session.stream(images=[ROW]):
                break  # dropped without a block
            gc.collect()
            self.assertTrue(session.generate(images=[ROW], max_new_tokens=3).text)

    def test_async(self):
        async def read():
            return "".join([part.text async for part in self.session.stream(images=[ROW])])

        self.assertEqual(asyncio.run(read()), self.text)

        async def give_up():
            with self.endless.session() as session, session.stream(images=[ROW]) as stream:
                async for _ in stream:
                    asyncio.current_task().cancel()

        with self.assertRaises(asyncio.CancelledError):
            asyncio.run(give_up())

        async def impatient():
            with self.endless.session() as session:
                stream = session.stream(images=[ROW])
                with self.assertRaises(asyncio.TimeoutError):
                    while True:
                        await asyncio.wait_for(stream.__anext__(), 0.001)
                for _ in range(2):  # what was cancelled by that does not look complete, and nobody waits for ever
                    with self.assertRaises(vlm.Cancelled):
                        async for _ in stream:
                            pass
                stream.close()
                self.assertEqual(list(stream), [])
                return session.generate(images=[ROW], max_new_tokens=3).text

        self.assertTrue(asyncio.run(asyncio.wait_for(impatient(), 60)))

    def test_cancel_from_another_thread_and_early(self):
        with self.endless.session() as session:
            started = threading.Event()
            timer = threading.Thread(target=lambda: (started.wait(), session.cancel()))
            timer.start()
            with self.assertRaises(vlm.Cancelled):
                session.generate(images=[ROW], stream=lambda part: started.set())
            timer.join()
            session.cancel()
            with self.assertRaises(vlm.Cancelled):
                session.generate(images=[ROW], max_new_tokens=1)
            session.cancel()
            session.reset_cancel()
            session.generate(images=[ROW], max_new_tokens=1)

    def test_a_session_in_use_is_not_closed_and_does_not_answer_twice(self):
        with self.endless.session() as session:
            stream = session.stream(images=[ROW])
            next(stream)
            with self.assertRaisesRegex(RuntimeError, "in use"):
                session.close()
            with self.assertRaises(vlm.Error) as caught:
                session.generate(images=[ROW])
            self.assertEqual(caught.exception.name, "ABORTED")
            stream.close()
        with self.assertRaisesRegex(ValueError, "closed"):
            session.generate(images=[ROW])

    def test_sessions_of_one_pipeline_answer_at_once(self):
        texts = [None] * 3

        def read(index):
            with self.pipeline.session() as session:
                texts[index] = session.generate(images=[ROW]).text

        threads = [threading.Thread(target=read, args=(index,)) for index in range(len(texts))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(texts, [self.text] * 3)

    def test_batches(self):
        seen = []
        requests = [{"images": [ROW]}, {"images": [ROW], "stream": seen.append}]
        results = self.session.generate_batch(requests)
        self.assertEqual([result.text for result in results], [self.text] * 2)
        self.assertEqual("".join(part.text for part in seen), self.text)
        self.assertEqual(self.session.generate_batch([]), [])
        with self.assertRaisesRegex(vlm.Error, "/no/such.png"):
            self.session.generate_batch([{"images": ["/no/such.png"]}])

    def test_options(self):
        result = self.session.generate(images=[ROW], max_new_tokens=2, temperature=0)
        self.assertEqual(result.usage.generated_tokens, 2)
        self.assertEqual(result.answers[0].finish_reason, "length")
        with self.assertRaisesRegex(TypeError, "max_tokens"):
            self.session.generate(images=[ROW], max_tokens=2)
        first = self.text[1:3]
        with self.pipeline.session() as session:
            stopped = session.generate(images=[ROW], stop=[first])
        self.assertEqual(stopped.answers[0].finish_reason, "stop_string")

    def test_wrong_arguments_are_named(self):
        self.assertEqual(self.session.generate(images=ROW, max_new_tokens=2).usage.generated_tokens, 2)  # one image as it is
        for error, says, arguments in [(ValueError, "the prompt has a NUL", {"prompt": "a\0b"}), (TypeError, "the prompt is a str", {"prompt": 5}),
                                       (ValueError, "a path has a NUL", {"images": "a\0b"}), (TypeError, "not NoneType", {"images": [None]}),
                                       (TypeError, "a text is a str", {"texts": [1]}), (ValueError, "stop string has a NUL", {"stop": "\0"}),
                                       (vlm.Error, "max_new_tokens is -5", {"max_new_tokens": -5}),
                                       (vlm.Error, "temperature is no finite", {"temperature": float("nan")}), (vlm.Error, "top_p is", {"top_p": -0.5})]:
            with self.assertRaisesRegex(error, says):
                self.session.generate(**{"images": [ROW], **arguments})
        session = self.pipeline.session()
        session.close()
        session.close()
        with self.assertRaisesRegex(ValueError, "the session is closed"):
            session.cancel()
        with self.assertRaisesRegex(ValueError, "the session is closed"):
            list(session.stream(images=ROW))

    def test_opening_reports_and_refuses(self):
        seen = []
        with self.host.open(str(MODEL), progress=lambda done, total: seen.append((done, total))):
            self.assertEqual((seen[0], seen[-1]), ((0, seen[0][1]), (seen[0][1], seen[0][1])))
        with self.assertRaisesRegex(vlm.Error, "/no/such.json") as caught:
            self.host.open("/no/such.json")
        self.assertEqual((caught.exception.name, caught.exception.code), ("NOT_FOUND", 5))
        with self.assertRaisesRegex(vlm.Error, '"model"'):
            self.host.open({"modle": 1})

    def test_the_log(self):
        lines = []
        with tempfile.TemporaryDirectory() as folder:
            (pathlib.Path(folder) / "libbroken.so").write_text("no library")
            with vlm.Host(plugin_folder=folder, log=lambda *line: lines.append(line)) as host, self.assertRaises(vlm.Error):
                host.open({**MANIFEST, "pipeline": {"backbone": {"plugin": "no.such"}}})
        self.assertTrue(any(level == "warning" and "libbroken.so" in message for level, _, message in lines), lines)

    def test_versions_and_stubs(self):
        self.assertRegex(vlm.version(), r"^\d+\.\d+\.\d+$")
        self.assertEqual(vlm.abi_version(), 1)
        import ast

        stub = ast.parse((pathlib.Path(vlm.__file__).with_suffix(".pyi")).read_text())
        declared = {node.name: {member.name for member in node.body if isinstance(member, ast.FunctionDef)}
                    for node in stub.body if isinstance(node, ast.ClassDef)}
        for name in vlm.__all__:
            if isinstance(getattr(vlm, name), type):
                made = {member for member in dir(getattr(vlm, name)) if not member.startswith("_")}
                missing = {m for m in declared[name] if not m.startswith("_")} - made
                self.assertEqual(missing, set(), name)
                undeclared = {m for m in made if callable(getattr(getattr(vlm, name), m))} - declared[name]
                self.assertTrue(issubclass(getattr(vlm, name), BaseException) or not undeclared, (name, undeclared))


unittest.main()
