"""The control endpoints of the sandbox: read the oracle, change the API's behaviour.

They listen on loopback, on a port of their own, so that they work while the API is down or
speaks TLS. They need no token and are never part of the API's contract.
"""

import asyncio
import json
from dataclasses import asdict
from itertools import islice

from aiohttp import web

from esg_pipeline.sandbox.api import EsgApi
from esg_pipeline.sandbox.behaviour import Behaviour
from esg_pipeline.sandbox.call import encode, respond, respond_error
from esg_pipeline.sandbox.listener import Listener

ELSEWHERE_PATH = "/elsewhere"
LINES_AT_ONCE = 1000
WAIT_S = 30.0
BODY_BYTES = 64_000_000
"""Room for a plan that names the fault of each of many accounts."""


class Control:
    """The endpoints, for one API and its listener."""

    def __init__(self, api: EsgApi, listener: Listener) -> None:
        self._api = api
        self._listener = listener

    def application(self) -> web.Application:
        """Give the aiohttp application."""
        application = web.Application(client_max_size=BODY_BYTES)
        application.add_routes(
            [
                web.get("/_control/calls", self.send_calls),
                web.get("/_control/counts", self.send_counts),
                web.get("/_control/accounts", self.send_calls_by_account),
                web.get("/_control/wait", self.wait_for_calls),
                web.post("/_control/faults", self.change_behaviour),
                web.post("/_control/reset", self.reset),
                web.post("/_control/token", self.rotate_token),
                web.route("*", f"{ELSEWHERE_PATH}/{{path:.*}}", self.count_stray),
            ]
        )
        return application

    async def change(self, behaviour: Behaviour) -> None:
        """Behave so from now on, from whether anybody listens to what is answered."""
        self._api.behave(behaviour)
        if behaviour.listening:
            await self._listener.open()
        else:
            self._listener.close()

    async def send_calls(self, request: web.Request) -> web.StreamResponse:
        """Every call, in order of arrival, one JSON object a line."""
        response = web.StreamResponse(headers={"Content-Type": "application/jsonl"})
        await response.prepare(request)
        lines = (encode(asdict(call)) + b"\n" for call in self._api.log.calls())
        while batch := b"".join(islice(lines, LINES_AT_ONCE)):
            await response.write(batch)
        return response

    async def send_counts(self, request: web.Request) -> web.Response:
        """All calls in numbers, as `CallCounts`."""
        return respond(encode(asdict(self._api.log.counts())))

    async def send_calls_by_account(self, request: web.Request) -> web.Response:
        """Account id to number of calls."""
        return respond(encode(self._api.log.calls_by_account()))

    async def wait_for_calls(self, request: web.Request) -> web.Response:
        """Answer when `?calls=N` calls have arrived; 408 after `&timeout_s=`."""
        try:
            async with asyncio.timeout(float(request.query.get("timeout_s", WAIT_S))):
                await self._api.log.reached(int(request.query["calls"]))
        except TimeoutError:
            return respond_error(408, f"only {len(self._api.log)} calls arrived")
        return await self.send_counts(request)

    async def change_behaviour(self, request: web.Request) -> web.Response:
        """Replace the parts of `Behaviour` that the JSON body names."""
        try:
            behaviour = self._api.behaviour.changed(json.loads(await request.read()))
        except (ValueError, TypeError) as error:
            return respond_error(400, str(error))
        await self.change(behaviour)
        return respond(b"{}")

    async def reset(self, request: web.Request) -> web.Response:
        """Forget all calls."""
        self._api.reset()
        return respond(b"{}")

    async def rotate_token(self, request: web.Request) -> web.Response:
        """Make a new fixed token, and let no older token in."""
        self._api.tokens.rotate()
        return respond(encode({"token": self._api.tokens.fixed}))

    async def count_stray(self, request: web.Request) -> web.Response:
        """Stand for another host, and count who is lured here by a redirect."""
        self._api.log.strays += 1
        self._api.log.strays_with_token += "Authorization" in request.headers
        return respond(b"{}")
