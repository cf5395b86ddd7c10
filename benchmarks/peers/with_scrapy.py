"""Scrapy: one spider, its concurrency and retries; the rate limit is its download delay.

It does not verify certificates, which saves it work over HTTPS. Starting and closing the crawler
are not counted.
"""

import time

from job import Job, read_job, report
from scrapy import Request, Spider
from scrapy.crawler import CrawlerProcess


class RatingsSpider(Spider):
    name = "ratings"
    job: Job

    async def start(self):
        self.scores = []
        self.started, self.cpu_started = time.perf_counter(), time.process_time()
        for url in self.job.urls():
            yield Request(url, dont_filter=True)

    def parse(self, response):
        self.scores.append(response.json()["esg_analysis"]["overall_esg_score"])
        self.ended, self.cpu_ended = time.perf_counter(), time.process_time()

    def closed(self, reason):
        seconds, cpu_seconds = self.ended - self.started, self.cpu_ended - self.cpu_started
        report(len(self.scores), seconds, cpu_seconds)


if __name__ == "__main__":
    job = read_job()
    process = CrawlerProcess(
        {
            "CONCURRENT_REQUESTS": job.workers,
            "CONCURRENT_REQUESTS_PER_DOMAIN": job.workers,
            "DOWNLOAD_DELAY": 0 if job.rate is None else 1 / job.rate,
            "RANDOMIZE_DOWNLOAD_DELAY": False,
            "COOKIES_ENABLED": False,
            "TELNETCONSOLE_ENABLED": False,
            "LOG_LEVEL": "CRITICAL",
        }
    )
    process.crawl(RatingsSpider, job=job)
    process.start()
