"""The bare loop: aiohttp with workers and nothing else: no retry, no pacer, nothing kept safe."""

import asyncio

import aiohttp
from job import Job, measure


async def ask_all(job: Job) -> int:
    scores = []
    urls = iter(job.urls())
    connector = aiohttp.TCPConnector(limit=job.workers)

    async def work() -> None:
        for url in urls:
            async with session.get(url) as response:
                if response.status == 200:
                    answer = await response.json()
                    scores.append(answer["esg_analysis"]["overall_esg_score"])

    async with aiohttp.ClientSession(connector=connector) as session:
        await asyncio.gather(*(work() for _ in range(job.workers)))
    return len(scores)


if __name__ == "__main__":
    measure(lambda job: asyncio.run(ask_all(job)))
