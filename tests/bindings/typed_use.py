"""What a type checker must understand of the Python package; checked by python_types.sh and never run."""
import asyncio
import pathlib
from typing import Dict, List

import vlm


def log(level: str, source: str, message: str) -> None:
    print(level, source, message)


def ask(session: vlm.Session, page: pathlib.Path) -> vlm.Result:
    rows: Dict[int, str] = {}
    with session.stream("Read the page", images=[page], max_new_tokens=3, temperature=0, stop="</s>") as stream:
        for part in stream:
            rows[part.answer] = rows.get(part.answer, "") + part.text
        return stream.result


async def ask_async(session: vlm.Session, page: bytes) -> str:
    return "".join([part.text async for part in session.stream(images=page)])


def main() -> None:
    with vlm.Host(log=log) as host, host.open({"model": "folder"}, progress=lambda done, total: None) as pipeline:
        with pipeline.session() as session:
            try:
                confidences: List[float] = [answer.confidence for answer in ask(session, pathlib.Path("page.png")).answers]
                pieces = [token.piece for token in session.generate(images="page.png").answers[0].tokens]
                print(confidences, " ".join(pieces), asyncio.run(ask_async(session, b"")).upper())
                print([result.usage.visual_tokens + 1 for result in session.generate_batch([{"images": ["page.png"]}])])
                print(session.encode("page.png").numpy())
            except vlm.Cancelled:
                print("cancelled")
            except vlm.Error as error:
                print(error.code + 1, error.name.lower())


main()
