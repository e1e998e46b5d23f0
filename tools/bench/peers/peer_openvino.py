"""OpenVINO on models that convert_openvino.py made (see serve.py): weights as converted, arithmetic in bf16 or f32
(with compressed weights OpenVINO may multiply in integers; which is faster depends on the machine)."""
import argparse
import pathlib
import time

import numpy
import openvino

from serve import serve, timed


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=pathlib.Path, required=True, help="folder of convert_openvino.py")
    parser.add_argument("--weights", choices=["bf16", "int8", "int4"], default="bf16")
    parser.add_argument("--precision", choices=["bf16", "f32"], default="bf16")
    parser.add_argument("--context", type=int, default=640)
    parser.add_argument("--threads", type=int, default=0)
    arguments = parser.parse_args()
    core = openvino.Core()
    options = {"INFERENCE_PRECISION_HINT": arguments.precision, "PERFORMANCE_HINT": "LATENCY"}
    if arguments.threads > 0:
        options["INFERENCE_NUM_THREADS"] = arguments.threads
    begin = time.perf_counter()
    parts = {name: core.compile_model(arguments.model / f"{name}-{arguments.weights}.xml", "CPU", options)
             for name in ("vision", "connector", "language")}
    load_ms = (time.perf_counter() - begin) * 1e3
    requests = {name: part.create_infer_request() for name, part in parts.items()}
    language = requests["language"]
    shape = parts["language"].input("embeddings").get_partial_shape()
    width, context = shape[2].get_length(), arguments.context
    size = parts["vision"].input(0).get_partial_shape()[2]
    side = size.get_length() if size.is_static else 336
    random = numpy.random.default_rng(1)
    pixels = random.random((1, 3, side, side), dtype=numpy.float32)
    prompt = random.standard_normal((1, context, width), dtype=numpy.float32)

    def infer(embeddings, first):
        batch, length = embeddings.shape[:2]
        positions = numpy.broadcast_to(numpy.arange(first, first + length, dtype=numpy.int64), (batch, length))
        language.infer({"embeddings": embeddings, "positions": numpy.ascontiguousarray(positions),
                        "reorder": numpy.arange(batch, dtype=numpy.int32)})

    def encode():
        return requests["vision"].infer({0: pixels})[0]

    def prefill(embeddings=prompt):
        language.reset_state()
        infer(embeddings, 0)

    def first_token():
        visual = requests["connector"].infer({0: encode()[:, 1:]})[0]
        prefill(numpy.concatenate([prompt[:, visual.shape[1]:], visual], 1))

    read = {}  # states that hold the prompt

    def decode(request):
        batch = request["batch"]
        if not read:
            prefill()
            read.update({state.name: numpy.array(state.state.data) for state in language.query_state()})
        language.reset_state()
        for state in language.query_state():
            state.state = openvino.Tensor(numpy.repeat(read[state.name], batch, 0))
        token = random.standard_normal((batch, 1, width), dtype=numpy.float32)
        at = iter(range(context, context + 1000))
        return timed(lambda: infer(token, next(at)), request["steps"])

    serve({"name": "OpenVINO", "load_ms": load_ms, "versions": {"openvino": openvino.__version__.split("-")[0]}},
          {"encode": lambda r: timed(encode, r["runs"]), "prefill": lambda r: timed(prefill, r["runs"]),
           "first token": lambda r: timed(first_token, r["runs"]), "decode": decode})


if __name__ == "__main__":
    main()
