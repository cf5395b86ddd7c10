"""A server that answers with exactly the bytes a test wants, and writes down what it was asked."""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

SCORES = {f"{name}_score": 50 for name in ("overall_esg", "environmental", "social", "governance")}


@dataclass(frozen=True)
class Asked:
    """One request as it came in."""

    at: float
    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def account_id(self) -> str:
        return json.loads(self.body)["portfolio_id"]

    def right_answer(self) -> bytes:
        asked = json.loads(self.body)
        analysis = dict(SCORES)
        if focus := asked.get("primary_esg_focus"):
            analysis |= {"primary_esg_focus": focus, "primary_focus_score": 50}
        answer = {
            "status": "success",
            "portfolio_id": asked["portfolio_id"],
            "analysis_date": asked["analysis_date"],
            "esg_analysis": analysis,
        }
        return json.dumps(answer).encode()


def response(status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> bytes:
    fields = {"Content-Length": str(len(body)), **(headers or {})}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status} X\r\n{head}\r\n".encode() + body


@dataclass
class RawApi:
    """What it answers and what it was asked.

    Attributes:
        headers: Added to the right answer.
        answer: Gives the bytes of a response; None leaves the call without one.
    """

    headers: dict[str, str] = field(default_factory=dict)
    answer: Callable[[Asked], bytes | None] | None = None
    asked: list[Asked] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/rate"

    @property
    def arrivals(self) -> list[float]:
        return [asked.at for asked in self.asked]

    def calls(self, method: str = "POST") -> list[Asked]:
        return [asked for asked in self.asked if asked.method == method]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                while True:
                    await self._answer_next(reader, writer)
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def _answer_next(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.strip().split("\r\n")
        method, target, _ = first.split(" ")
        headers = dict(line.split(": ", 1) for line in lines)
        body = await reader.readexactly(int(headers.get("Content-Length", 0)))
        asked = Asked(time.monotonic(), method, target, headers, body)
        self.asked.append(asked)
        if self.answer is None:
            sent = response(200, asked.right_answer(), self.headers)
        else:
            sent = self.answer(asked)
        if sent is None:
            await asyncio.Event().wait()
        writer.write(sent)
        await writer.drain()


@contextmanager
def run_raw_api() -> Iterator[RawApi]:
    """Serve in a thread of its own for as long as the block runs."""
    api, started = RawApi(), threading.Event()
    loop = asyncio.new_event_loop()

    async def main() -> None:
        server = await asyncio.start_server(api.serve, "127.0.0.1", 0)
        api.port = server.sockets[0].getsockname()[1]
        started.set()
        await stop.wait()
        server.close()
        while calls := asyncio.all_tasks() - {asyncio.current_task()}:
            for call in calls:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
        await asyncio.sleep(0.01)  # the closed connections are told so in the next turns

    stop = asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(main(),))
    thread.start()
    try:
        assert started.wait(10)
        yield api
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()
