"""Trains rx-small on drawn rows until a given time of day or for a number of minutes; resumes from its last checkpoint.

Usage: train.py --formulary drugs.csv --run runs/a (--minutes 120 | --until 2026-01-31T06:45)
Two processes of one thread each train in bfloat16 and average their gradients through shared memory, a third draws rows; on a
machine with other work this is faster than one process with two threads. `runs/a/log.jsonl` has one JSON object a report.
"""

import argparse
import datetime
import json
import multiprocessing
import pathlib
import random
import signal
import time

import numpy as np
import torch
import torch.nn.functional as F

import draw
import export
import names
import rows
import texts
import tokenizer
from model import KINDS, RxSmall, char_labels
from muon import Optimiser

IGNORE = -100


def collate(samples):
    """Samples of (drawn row, task is plain text) -> arrays of one batch; images are padded with white to the widest."""
    width = max(s["image"].shape[1] for s, _ in samples)
    n = len(samples)
    images = np.full((n, rows.HEIGHT, width), 255, np.uint8)
    sequences, targets_of, spots_of = [], [], []
    chars = np.full((n, width // 8, 2, 3), IGNORE, np.int64)
    chars[..., 0] = 0
    for i, (sample, as_text) in enumerate(samples):
        images[i, :, : sample["image"].shape[1]] = sample["image"]
        for char, x0, x1 in sample["chars"]:
            for half in range(int(np.ceil((x0 - 2) / 4)), int(np.ceil((x1 - 2) / 4))):
                if 0 <= half < width // 4:
                    chars[i, half // 2, half % 2] = char_labels(char)
        ids, spots = target(sample, as_text)
        prompt = [tokenizer.VISION_END] + ([tokenizer.VOCAB["<s_text>"]] if as_text else [])
        sequences.append(prompt + ids)
        targets_of.append([IGNORE] * (len(prompt) - 1) + ids + [tokenizer.EOS])
        spots_of.append([None] * len(prompt) + spots)
    length = max(map(len, sequences))
    text = np.full((n, length), tokenizer.PAD, np.int64)
    labels = np.full((n, length), IGNORE, np.int64)
    spots = np.full((n, 2, length, 2), -1, np.float32)  # x range of the current and of the next character
    for i, (ids, want, where) in enumerate(zip(sequences, targets_of, spots_of)):
        text[i, : len(ids)] = ids
        labels[i, : len(want)] = want
        for t, spot in enumerate(where):
            if spot:
                spots[i, 0, t] = spot
                if t:
                    spots[i, 1, t - 1] = spot
    return images, text, labels, chars, spots


def target(sample, as_text):
    """Ids of the answer (or of the plain text) and, for each, the x range of the character that it spells (None for tags)."""
    positions = iter(sample["chars"])
    ids, spots = [], []
    if as_text:
        for text, _ in sample["row"]:
            for char in " " if text == "\t" else text:
                where = None if text == "\t" else next(positions)[1:]
                for token in tokenizer.encode_text(char):
                    ids.append(token)
                    spots.append(where)
        while ids and tokenizer.TOKENS[ids[-1]] == " ":
            ids.pop(), spots.pop()
        while ids and tokenizer.TOKENS[ids[0]] == " ":
            ids.pop(0), spots.pop(0)
        return ids, spots
    where_of = {}
    for index, (text, _) in enumerate(sample["row"]):
        where_of[index] = [] if text == "\t" else [next(positions)[1:] for _ in text]
    fields = [i for i, (text, field) in enumerate(sample["row"]) if field]
    for piece in texts.answer(sample["row"]):
        if piece in tokenizer.SPECIAL:
            ids.append(tokenizer.VOCAB[piece])
            spots.append(None)
            continue
        index = next(i for i in fields if sample["row"][i][0] == piece)
        fields.remove(index)
        for char, where in zip(piece, where_of[index]):
            for token in tokenizer.encode_text(char):
                ids.append(token)
                spots.append(where)
    return ids, spots


def draw_batches(queue, progress, formulary, seed, columns):
    """Worker: draws pools of rows, sorts them by width and puts batches of about `columns` pixel columns."""
    rng = random.Random(seed)
    source = texts.RowSource(names.NameSource(names.load_formulary(formulary), rng), rng)
    painter = draw.RowPainter(source, rng)
    while True:
        done = progress.value
        letters, as_text = max(0.06, 0.35 - 2.0 * done), max(0.15, 0.45 - 2.0 * done)
        pool = []
        while len(pool) < 320:
            plain = rng.random() < letters
            try:
                pool.append((painter.sample(plain), plain or rng.random() < as_text))
            except (OSError, ValueError) as error:  # a face that fails at some size costs one row
                print("row skipped:", error, flush=True)
        pool.sort(key=lambda s: s[0]["image"].shape[1])
        batches, batch = [], []
        for sample in pool:
            if batch and (len(batch) + 1) * sample[0]["image"].shape[1] > columns:
                batches.append(batch)
                batch = []
            batch.append(sample)
        if len(batch) > 4:
            batches.append(batch)
        rng.shuffle(batches)
        for batch in batches:
            queue.put(collate(batch))


def to_pixels(images):
    """uint8 [B, 32, W] -> normalised bfloat16 [B, 3, 32, W] with the position channels of rows.colour."""
    array = np.stack([rows.colour(image) for image in images])
    return ((torch.from_numpy(array).permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.5).bfloat16().contiguous()


def losses(model, batch):
    """(token loss, character loss, pointing loss, token accuracy) of a collated batch."""
    images, text, labels, chars, spots = batch
    labels = torch.from_numpy(labels)
    wanted = labels != IGNORE
    logits, char_logits, scores = model(to_pixels(images), torch.from_numpy(text), wanted=wanted)
    token = F.cross_entropy(logits.float(), labels[wanted])
    accuracy = (logits.argmax(-1) == labels[wanted]).float().mean()
    parts = char_logits.float().view(*char_logits.shape[:2], 2, -1).split((KINDS, 21, 28), dim=-1)
    want = torch.from_numpy(chars)
    char = sum(
        F.cross_entropy(p.flatten(0, 2), want[..., i].flatten(), ignore_index=IGNORE) if (want[..., i] != IGNORE).any() else 0.0
        for i, p in enumerate(parts)
    )
    centre = (torch.arange(images.shape[2] // 16).float() * 16 + 8).repeat(2)
    where = torch.from_numpy(spots)
    hit = (centre > where[..., :1] - 8) & (centre < where[..., 1:] + 8) & (where[..., 1:] >= 0)
    told = hit.any(-1)
    point = torch.logsumexp(scores, -1) - torch.logsumexp(scores.masked_fill(~hit, -1e4), -1)
    point = point[told].mean() if told.any() else torch.zeros(())
    return token, char, point, accuracy


class Averager:
    """Mean of the gradients over the processes, by a shared buffer that is used alternately so that one barrier a step is enough."""

    def __init__(self, processes, size):
        self.shared = torch.zeros(2, processes, size, dtype=torch.bfloat16).share_memory_()
        self.done = torch.zeros(2, dtype=torch.float64).share_memory_()
        self.barrier, self.turn = multiprocessing.Barrier(processes), 0

    @torch.no_grad()
    def __call__(self, model, rank, done):
        """Average the gradients in place; returns the first process's `done`, so that all agree on rate and end."""
        if self.shared.shape[1] == 1:
            return done
        if rank == 0:
            self.done[self.turn] = done
        grads = [p.grad for p in model.parameters()]
        mine = self.shared[self.turn]
        mine[rank] = torch.cat([g.flatten() for g in grads])
        self.barrier.wait(timeout=300)
        mean = mine.float().mean(0)
        for g, part in zip(grads, mean.split([g.numel() for g in grads])):
            g.copy_(part.view_as(g))
        done = float(self.done[self.turn])
        self.turn ^= 1
        return done


def train(rank, args, end, start_of, queue, progress, average, stop):
    """One training process; rank 0 reports and saves."""
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    model = RxSmall().bfloat16()
    if args.start_from:  # everything but the character heads, which are not shipped
        shipped = export.read(args.start_from).state_dict()
        model.load_state_dict({k: v for k, v in shipped.items() if not k.startswith("char_head")}, strict=False)
    optimiser = Optimiser(model)
    checkpoint = args.run / "last.pt"
    start, seen, seconds = start_of, 0, 0.0
    if checkpoint.exists():
        saved = torch.load(checkpoint)
        optimiser.load(saved["optimiser"])
        start, seen, seconds = saved["start"], saved["seen"], saved["seconds"]
    if rank == 0:
        print(f"{sum(p.numel() for p in model.parameters()) / 1e6:.2f} M parameters, step {optimiser.steps}", flush=True)
        log = open(args.run / "log.jsonl", "a", encoding="utf-8")
    sums, last_report, last_save = np.zeros(5), time.time(), time.time()
    while True:
        began = time.time()
        if rank == 0:
            progress.value = (began - start) / (end - start)
        batch = queue.get()
        done = progress.value
        token, char, point, accuracy = losses(model, batch)
        guide = 1.0 if done < 0.25 else 0.4
        (token + guide * (0.4 * char + 0.3 * point)).backward()
        done = average(model, rank, 1.0 if stop.is_set() else done)
        optimiser.step(args.rate * min(1, (optimiser.steps + 1) / 100) * max(0, 1 - done) + 2e-5)
        seen += len(batch[0]) * args.processes
        seconds += time.time() - began
        if rank == 0:
            sums += (token.item(), float(char.detach()), point.item(), accuracy.item(), 1)
            if time.time() - last_report > 30:
                mean = (sums[:4] / sums[4]).tolist()
                record = dict(
                    step=optimiser.steps,
                    rows=seen,
                    hours=round(seconds / 3600, 4),
                    loss=round(mean[0], 4),
                    char=round(mean[1], 4),
                    point=round(mean[2], 4),
                    accuracy=round(mean[3], 4),
                    progress=round(done, 4),
                    step_s=round((time.time() - last_report) / float(sums[4]), 3),
                    queue=queue.qsize(),
                )
                log.write(json.dumps(record) + "\n")
                log.flush()
                print(record, flush=True)
                sums[:], last_report = 0, time.time()
            if time.time() - last_save > 240 or done >= 1:
                save(checkpoint, optimiser, start, seen, seconds)
                last_save = time.time()
        if done >= 1:
            return


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--formulary", required=True)
    parser.add_argument("--run", required=True, type=pathlib.Path)
    parser.add_argument("--start-from", type=pathlib.Path, help="an exported folder whose weights begin a new run")
    parser.add_argument("--minutes", type=float, default=120)
    parser.add_argument("--until", help="end time, ISO, UTC; instead of --minutes")
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--columns", type=int, default=11000, help="pixel columns in a batch of one process")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    args.run.mkdir(parents=True, exist_ok=True)
    now = time.time()
    end = (
        datetime.datetime.fromisoformat(args.until).replace(tzinfo=datetime.timezone.utc).timestamp()
        if args.until
        else now + 60 * args.minutes
    )
    progress = multiprocessing.Value("d", 0.0)
    queue = multiprocessing.Queue(maxsize=32)
    average = Averager(args.processes, sum(p.numel() for p in RxSmall().parameters()))
    stop = multiprocessing.Event()
    # Fresh seeds at each start: a resumed run must not see the same rows again.
    workers = [multiprocessing.Process(target=draw_batches, args=(queue, progress, args.formulary, int(now), args.columns), daemon=True)]
    workers += [
        multiprocessing.Process(target=train, args=(rank, args, end, now, queue, progress, average, stop), daemon=True)
        for rank in range(args.processes)
    ]
    for worker in workers:
        worker.start()
    # A polite stop ends as the end of the time does: with a checkpoint.
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    for worker in workers[1:]:
        worker.join()
    workers[0].terminate()


def save(path, optimiser, start, seen, seconds):
    """Write the checkpoint beside its place and move it there, so that a kill never leaves half a file."""
    part = path.with_suffix(".part")
    torch.save(dict(optimiser=optimiser.state(), start=start, seen=seen, seconds=seconds), part)
    part.replace(path)


if __name__ == "__main__":
    main()
