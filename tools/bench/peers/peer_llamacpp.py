"""llama.cpp by llama-cpp-python, on a file of write_gguf.py (see serve.py). Language model only; cache in f16, batches
and flash attention as llama.cpp chooses them."""
import argparse
import importlib.metadata
import time

import llama_cpp

from serve import serve, timed


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True, help="GGUF file")
    parser.add_argument("--context", type=int, default=640)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    sequences, room, context = 8, arguments.context + 128, arguments.context
    llama_cpp.llama_backend_init()
    begin = time.perf_counter()
    model = llama_cpp.llama_model_load_from_file(arguments.model.encode(), llama_cpp.llama_model_default_params())
    options = llama_cpp.llama_context_default_params()
    options.n_ctx, options.n_batch, options.n_seq_max = sequences * room, max(context, 512), sequences
    options.n_threads = options.n_threads_batch = arguments.threads
    options.kv_unified = False
    options.no_perf = True
    engine = llama_cpp.llama_init_from_model(model, options)
    if not engine:
        raise RuntimeError(f"llama.cpp cannot open {arguments.model}")
    load_ms = (time.perf_counter() - begin) * 1e3
    memory = llama_cpp.llama_get_memory(engine)

    def run(entries):
        """One call for (sequence, position, wants logits) each."""
        batch = llama_cpp.llama_batch_init(len(entries), 0, 1)
        batch.n_tokens = len(entries)
        for i, (sequence, position, logits) in enumerate(entries):
            batch.token[i], batch.pos[i], batch.logits[i] = 10 + i * 37 % 200, position, logits
            batch.n_seq_id[i], batch.seq_id[i][0] = 1, sequence
        status = llama_cpp.llama_decode(engine, batch)
        llama_cpp.llama_batch_free(batch)
        if status != 0:
            raise RuntimeError(f"llama_decode: {status}")

    filled = set()  # sequences that hold the prompt

    def prefill():
        llama_cpp.llama_memory_clear(memory, True)
        run([(0, i, i == context - 1) for i in range(context)])
        llama_cpp.llama_synchronize(engine)
        filled.clear()
        filled.add(0)

    def decode(request):
        batch = request["batch"]
        if not filled:
            prefill()
        for sequence in range(batch):
            if sequence not in filled:
                llama_cpp.llama_memory_seq_cp(memory, 0, sequence, -1, -1)
                filled.add(sequence)
            llama_cpp.llama_memory_seq_rm(memory, sequence, context, -1)
        at = iter(range(context, room))

        def step():
            position = next(at)
            run([(sequence, position, True) for sequence in range(batch)])
            llama_cpp.llama_synchronize(engine)

        return timed(step, request["steps"])

    serve({"name": "llama.cpp", "load_ms": load_ms, "threads": arguments.threads,
           "versions": {"llama-cpp-python": importlib.metadata.version("llama-cpp-python")}},
          {"prefill": lambda r: timed(prefill, r["runs"]), "decode": decode})


if __name__ == "__main__":
    main()
