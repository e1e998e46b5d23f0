#!/usr/bin/env python3
"""Measures the same work with vlmhost and with what people use today, in turns, and prints a table.

Usage: peers.py --vlmhost build/vlmhost [--shape llava-1.1b] [--weights bf16,int8,int4] [--rounds 5] [--json FILE]

For each type of weights, vlmhost and the peers load the same shape (random weights) and stay in memory; then every
stage is measured by one after the other, round after round, because a machine that is shared changes from minute to
minute: ratios are formed within a round. Peers and what they multiply with:
  bf16: PyTorch with transformers (SDPA), OpenVINO, llama.cpp (BF16)
  int8: OpenVINO (NNCF, 8-bit asymmetric per channel; executed in bf16 and in f32), llama.cpp (Q8_0)
  int4: OpenVINO (NNCF, 4-bit asymmetric in groups of 128; executed in bf16 and in f32), llama.cpp (Q4_0)
llama.cpp measures the language model only. The packages are installed from PyPI into a virtual environment (--venv),
unless --python names an interpreter that has them; llama-cpp-python is compiled for this machine, which takes a while,
as do the conversions, which are kept beside the checkpoint. With --wait everything loads first and the measuring
begins with a line on standard input.
"""
import argparse
import datetime
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time
import venv

HERE = pathlib.Path(__file__).resolve().parent
PACKAGES = ["torch", "transformers", "safetensors", "pillow", "numpy", "openvino", "nncf", "gguf", "llama-cpp-python"]
PYPI_CPU = "https://download.pytorch.org/whl/cpu"
PEERS = {"bf16": ["PyTorch", "OpenVINO", "llama.cpp"], "int8": ["OpenVINO", "OpenVINO f32", "llama.cpp"],
         "int4": ["OpenVINO", "OpenVINO f32", "llama.cpp"]}
PAUSE_S = 0.3  # threads of whoever was measured before stop spinning


def make_environment(folder):
    """The interpreter of a virtual environment that has the peers' packages."""
    python = folder / "bin/python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--extra-index-url", PYPI_CPU, *PACKAGES],
                       check=True, stdout=sys.stderr, env=os.environ | {"CMAKE_ARGS": "-DGGML_NATIVE=ON"})
    return str(python)


class Measured:
    """A process that loads and then answers requests (serve.py, `vlmhost bench --serve`)."""

    def __init__(self, label, command):
        self.label = label
        self.process = subprocess.Popen([str(word) for word in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL if label == "llama.cpp" else None, text=True)
        self.peak_mb = 0

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.label} ended with status {self.process.wait()}")
        return json.loads(line)

    def ask(self, **request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        answer = self.read()
        self.peak_mb = max(self.peak_mb, answer.get("peak_mb", 0))
        return answer

    def end(self):
        self.process.stdin.close()
        self.process.wait()


class Peers:
    """Starts whoever is measured, and makes the files that they need."""

    def __init__(self, arguments, python, model):
        self.arguments, self.python, self.model = arguments, python, model

    def run(self, script, *words):
        subprocess.run([self.python, HERE / script, "--model", self.model, *map(str, words)], check=True,
                       stdout=sys.stderr)

    def start(self, label, weights):
        options = ["--context", self.arguments.context, "--threads", self.arguments.threads]
        if label == "PyTorch":
            return Measured(label, [self.python, HERE / "peer_torch.py", "--model", self.model, "--device",
                                    self.arguments.torch_device or self.arguments.device, *options])
        if label.startswith("OpenVINO"):
            folder = self.model.parent / (self.model.name + "-openvino")
            if not folder.exists():
                self.run("convert_openvino.py", "--out", folder)
            return Measured(label, [self.python, HERE / "peer_openvino.py", "--model", folder, "--weights", weights,
                                    "--precision", "f32" if label.endswith("f32") else "bf16", *options])
        file = self.model.parent / f"{self.model.name}-{weights}.gguf"
        if not file.exists():
            self.run("write_gguf.py", "--weights", weights, "--out", file)
        return Measured(label, [self.python, HERE / "peer_llamacpp.py", "--model", file, *options])


def ours(arguments, weights, checkpoints):
    return Measured("vlmhost", [arguments.vlmhost, "bench", "--shape", arguments.shape, "--checkpoints", checkpoints,
                                "--device", arguments.device, "--dtype", "bf16", "--weights", weights, "--packed-cache",
                                "auto", "--context", arguments.context, "--threads", arguments.threads, "--serve"])


def processor_name():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        return next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), "unknown")


def measure(everyone, rounds, arguments):
    """{stage: {label: [median of each round]}} and what the machine could do in each round."""
    names = ["encode", "prefill", "first token", *(f"decode x{batch}" for batch in arguments.batches)]
    names = [name for name in names if not arguments.stages or name in arguments.stages]
    times, machine = {name: {} for name in names}, []
    for number in range(rounds):
        print(f"round {number + 1} of {rounds}", file=sys.stderr)
        # vlmhost measures the processor, PyTorch its GPU.
        asked = everyone if arguments.device != "cpu" else everyone[:1]
        can = [one.ask(stage="machine") for one in asked if arguments.device == "cpu" or one.label == "PyTorch"]
        machine.extend(one for one in can if "read_bytes_per_s" in one)
        for name in names:
            # After the first round everything is warm.
            request = {"stage": name, "runs": 1 if number == 0 and arguments.runs == 0 else arguments.runs}
            if name.startswith("decode"):
                request = {"stage": "decode", "batch": int(name.split("x")[1]), "steps": arguments.steps, "runs": 1}
            # Who comes first changes, so that nobody always runs on a processor that another has just heated.
            for one in everyone[number % len(everyone):] + everyone[:number % len(everyone)]:
                time.sleep(PAUSE_S)
                answer = one.ask(**request)
                if answer["ms"]:
                    times[name].setdefault(one.label, []).append(statistics.median(answer["ms"]))
                for key in ("flops", "bytes"):
                    if answer.get(key):
                        times[name][key] = answer[key]
    return times, machine


def spread(values):
    return f"{statistics.median(values):.1f} ({min(values):.1f}–{max(values):.1f})"


def table(weights, times, machine, peaks):
    labels = ["vlmhost", *(label for label in PEERS[weights] if any(label in one for one in times.values()))]
    lines = [f"| {weights} | " + " | ".join(f"{label}, ms" for label in labels)
             + " | against the best peer | share of the machine |", "|---" * (len(labels) + 3) + "|"]
    for name, by_label in times.items():
        rivals = [by_label[label] for label in labels[1:] if label in by_label]
        cells = [spread(by_label[label]) if label in by_label else "" for label in labels]
        ratio = ""
        if rivals:
            ratios = sorted(min(rival[i] for rival in rivals) / mine for i, mine in enumerate(by_label["vlmhost"]))
            ratio = f"{statistics.median(ratios):.2f} ({ratios[0]:.2f}–{ratios[-1]:.2f})"
        seconds = statistics.median(by_label["vlmhost"]) / 1e3
        share = ""
        if machine and "bytes" in by_label:
            most = statistics.median(one["read_bytes_per_s"] for one in machine)
            share = f"{by_label['bytes'] / seconds / most:.0%} of bandwidth"
        elif machine and "flops" in by_label:
            most = statistics.median(one["operations_per_s"] for one in machine)
            share = f"{by_label['flops'] / seconds / most:.0%} of arithmetic"
        lines.append(f"| {name} | " + " | ".join(cells) + f" | {ratio} | {share} |")
    if not peaks:
        return "\n".join(lines)
    cells = [f"{peaks[label]:.0f}" if label in peaks else "" for label in labels]
    best = min(value for label, value in peaks.items() if label != "vlmhost") / peaks["vlmhost"]
    lines.append("| peak memory, MB | " + " | ".join(cells) + f" | {best:.2f} | |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vlmhost", required=True)
    parser.add_argument("--shape", default="llava-1.1b", choices=["tiny", "llava-1.1b", "llava-1.5-7b", "qwen2-vl-2b"])
    parser.add_argument("--checkpoints", type=pathlib.Path, help="folder for random weights and conversions")
    parser.add_argument("--device", default="cpu", help="cpu or cuda; on cuda PyTorch is the only peer, in bf16")
    parser.add_argument("--torch-device", help="of PyTorch, where it is another: for dry runs")
    parser.add_argument("--weights", default="bf16,int8,int4")
    parser.add_argument("--peers", default="PyTorch,OpenVINO,llama.cpp")
    parser.add_argument("--stages", help="only these, like \"encode,decode x4\"")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--runs", type=int, default=0,
                        help="calls per round and stage that count, after one that does not; 0: one call alone")
    parser.add_argument("--steps", type=int, default=12, help="steps of decoding per round")
    parser.add_argument("--batches", default="1,4,8")
    parser.add_argument("--context", type=int, default=640)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--json", type=pathlib.Path, help="file for all numbers")
    parser.add_argument("--wait", action="store_true", help="begin with a line on standard input")
    parser.add_argument("--python", help="interpreter that has the peers' packages")
    parser.add_argument("--venv", type=pathlib.Path, default=HERE / ".venv")
    arguments = parser.parse_args()
    if arguments.device != "cpu":
        arguments.peers, arguments.weights = "PyTorch", "bf16"
    arguments.batches = [int(batch) for batch in arguments.batches.split(",")]
    arguments.stages = arguments.stages.split(",") if arguments.stages else []
    python = arguments.python or make_environment(arguments.venv)
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "vlmhost/shapes"
    parent = arguments.checkpoints or cache
    report = {"shape": arguments.shape, "processor": processor_name(), "date": str(datetime.date.today()),
              "threads": arguments.threads, "context": arguments.context, "rounds": arguments.rounds, "weights": {}}
    for weights in arguments.weights.split(","):
        everyone = [ours(arguments, weights, parent)]
        report["device"] = everyone[0].read()["device"]  # its checkpoint exists now
        model = max((path for path in parent.glob(arguments.shape + "-v*") if (path / "config.json").exists()),
                    key=lambda path: path.stat().st_mtime)
        peers = Peers(arguments, python, model)
        for label in PEERS[weights]:
            if label.split()[0] in arguments.peers.split(","):
                everyone.append(peers.start(label, weights))
                report.setdefault("versions", {}).update(everyone[-1].read()["versions"])
        if arguments.wait:
            print(f"{weights}: loaded, waiting for a line", file=sys.stderr, flush=True)
            sys.stdin.readline()
        times, machine = measure(everyone, arguments.rounds, arguments)
        for one in everyone:
            one.end()
        # Of the process; what a GPU has is not in it.
        peaks = {one.label: one.peak_mb for one in everyone} if arguments.device == "cpu" else {}
        report["weights"][weights] = {"ms": times, "machine": machine, "peak_mb": peaks}
        report["load"] = os.getloadavg()[0]
        if arguments.json:
            arguments.json.write_text(json.dumps(report, indent=1))
        print(f"\n{table(weights, times, machine, peaks)}", flush=True)
    versions = ", ".join(f"{name} {version}" for name, version in report.get("versions", {}).items())
    print(f"\n{arguments.shape} on {report['processor']}, {arguments.threads} threads, {report['date']}, load "
          f"{report['load']:.1f}; {report['device']}; {versions}; {arguments.rounds} rounds in turns; "
          "median (min–max); above 1: vlmhost is faster, or smaller")


if __name__ == "__main__":
    main()
