"""requests in threads, a kept-alive session each, with tenacity's retries."""

import threading
from concurrent.futures import ThreadPoolExecutor

import requests
from job import Job, measure
from tenacity import retry, stop_after_attempt, wait_random_exponential

local = threading.local()


def ask_all(job: Job) -> int:
    def session() -> requests.Session:
        if not hasattr(local, "session"):
            local.session = requests.Session()
        return local.session

    @retry(stop=stop_after_attempt(3), wait=wait_random_exponential(max=60), reraise=True)
    def ask(url: str) -> float:
        response = session().get(url, timeout=30)
        response.raise_for_status()
        return response.json()["esg_analysis"]["overall_esg_score"]

    with ThreadPoolExecutor(job.workers) as pool:
        return len(list(pool.map(ask, job.urls())))


if __name__ == "__main__":
    measure(ask_all)
