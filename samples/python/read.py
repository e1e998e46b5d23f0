#!/usr/bin/env python3
"""Reads a prescription: opens a pipeline, shows that the reader is at work, stops cleanly on Ctrl-C (or after the seconds given as third
argument), and prints what was found as a table.

    read.py MANIFEST IMAGE [SECONDS]
"""
import sys
import threading

import vlm


def show_progress(done, total):
    if total:
        print(f"\rloading {100 * done // total:3} %", end="", file=sys.stderr)


# [ask]
def ask(session, image):
    """The rows of a page are read side by side; every part of text says which of them it belongs to."""
    rows = {}
    with session.stream(images=[image]) as stream:  # leaving the block early, by Ctrl-C for example, cancels the answer
        for part in stream:
            rows[part.answer] = rows.get(part.answer, "") + part.text
            characters = sum(map(len, rows.values()))
            print(f"\rreading {len(rows):3} rows, {characters:5} characters", end="", file=sys.stderr, flush=True)
        return stream.result
# [ask]


def print_table(result):
    print(f"{'status':<11} {'name':<16} {'dosage':<10} {'sure':>5}  printed")
    for drug in result.to_dict().get("drugs", []):
        print(f"{drug['status']:<11} {drug['name'] or '-':<16} {drug['dosage'] or '-':<10} {drug['confidence']:5.2f}  {drug['printed']}")


# [main]
def main(arguments):
    if len(arguments) < 2:
        print("usage: read.py MANIFEST IMAGE [SECONDS]", file=sys.stderr)
        return 2
    try:
        with vlm.Host() as host, host.open(arguments[0], progress=show_progress) as pipeline, pipeline.session() as session:
            if len(arguments) > 2:
                timer = threading.Timer(float(arguments[2]), session.cancel)
                timer.daemon = True
                timer.start()
            result = ask(session, arguments[1])
        print(file=sys.stderr)
        print_table(result)
        return 0
    except (vlm.Cancelled, KeyboardInterrupt):
        print("\ncancelled", file=sys.stderr)
        return 130
    except vlm.Error as error:
        print(f"\n{error.name}: {error}", file=sys.stderr)
        return 1
# [main]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
