"""What the peers' programs share: they load once, then measure what they are told to, line by line.

A machine that is shared changes from minute to minute, so whoever is compared must be measured within seconds of each
other. That is why a peer stays in memory and answers requests instead of running as a program of its own each time.
"""
import json
import sys
import time


def timed(call, runs, wait=lambda: None):
    """Times of `runs` calls in ms, after one that does not count; with 0, of one call alone. `wait` waits for the
    device."""
    times = []
    for _ in range(runs + 1):
        wait()
        begin = time.perf_counter()
        call()
        wait()
        times.append((time.perf_counter() - begin) * 1e3)
    return times[1:] or times


def peak_mb():
    """The most memory that this process ever had."""
    with open("/proc/self/status", encoding="utf-8") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM"))


def serve(information, stages):
    """Prints `information`, then answers requests {"stage": name, "runs": n, "steps": n} with {"ms": [...]}.

    `stages` maps "encode", "prefill", "first token" and "decode" to functions of the request; "decode" requests have a
    "batch". A stage that a peer does not have is answered with an empty list; one that gives a dictionary ("machine",
    what the device can do) with that.
    """
    print(json.dumps(information), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        stage = stages.get(request["stage"])
        found = stage(request) if stage else []
        answer = {**(found if isinstance(found, dict) else {"ms": found}), "peak_mb": peak_mb()}
        print(json.dumps(answer), flush=True)
