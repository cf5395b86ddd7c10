"""aiohttp with aiolimiter, used as its documentation says: so many calls in a period of 1 s.

`AIOLIMITER_PERIOD_S` gives it a shorter period with as much less in it: the same rate, smooth.
"""

import asyncio
import os

import aiohttp
from aiolimiter import AsyncLimiter
from job import Job, measure

PERIOD_S = float(os.environ.get("AIOLIMITER_PERIOD_S", "1"))


async def ask_all(job: Job) -> int:
    scores = []
    urls = iter(job.urls())
    limiter = AsyncLimiter(job.rate * PERIOD_S, PERIOD_S)

    async def work() -> None:
        for url in urls:
            async with limiter, session.get(url) as response:
                if response.status == 200:
                    answer = await response.json()
                    scores.append(answer["esg_analysis"]["overall_esg_score"])

    connector = aiohttp.TCPConnector(limit=job.workers)
    async with aiohttp.ClientSession(connector=connector) as session:
        await asyncio.gather(*(work() for _ in range(job.workers)))
    return len(scores)


if __name__ == "__main__":
    measure(lambda job: asyncio.run(ask_all(job)))
