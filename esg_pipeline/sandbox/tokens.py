"""The credentials the simulated API takes: one fixed token, and OAuth tokens that expire.

All are made at random when the sandbox starts; none is ever written down here.
"""

import secrets
import time
from urllib.parse import parse_qs

from aiohttp import BasicAuth, web

from esg_pipeline.sandbox.behaviour import Behaviour
from esg_pipeline.sandbox.call import encode, respond, respond_error


class Tokens:
    """What lets a caller in.

    Attributes:
        fixed: The token for ESG_API_TOKEN.
        client_id: For the OAuth 2 client-credentials grant.
        client_secret: Likewise.
    """

    def __init__(self) -> None:
        self.fixed = secrets.token_urlsafe(24)
        self.client_id = f"client-{secrets.token_hex(4)}"
        self.client_secret = secrets.token_urlsafe(24)
        self._expires_at: dict[str, float] = {}

    def accepts(self, authorization: str) -> bool:
        """Say whether an Authorization header lets its caller in now."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer":
            return False
        return token == self.fixed or time.monotonic() < self._expires_at.get(token, 0)

    def rotate(self) -> None:
        """Make a new fixed token and forget every token given out before."""
        self.fixed = secrets.token_urlsafe(24)
        self._expires_at.clear()

    async def issue(self, request: web.BaseRequest, behaviour: Behaviour) -> web.StreamResponse:
        """Answer the token endpoint (RFC 6749 §4.4), credentials in the header or the body."""
        if behaviour.token_status != web.HTTPOk.status_code:
            return respond_error(behaviour.token_status, "token endpoint out of order")
        form = {name: values[0] for name, values in parse_qs(await request.text()).items()}
        if form.get("grant_type") != "client_credentials":
            return _refuse(400, "unsupported_grant_type")
        if self._credentials(request, form) != (self.client_id, self.client_secret):
            return _refuse(401, "invalid_client")
        token = secrets.token_urlsafe(24)
        self._expires_at[token] = time.monotonic() + behaviour.token_lifetime_s
        answer = {
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": behaviour.token_lifetime_s,
        }
        return respond(encode(answer), headers={"Cache-Control": "no-store"})

    @staticmethod
    def _credentials(request: web.BaseRequest, form: dict[str, str]) -> tuple[str, str]:
        try:
            basic = BasicAuth.decode(request.headers.get("Authorization", ""))
        except ValueError:
            return form.get("client_id", ""), form.get("client_secret", "")
        return basic.login, basic.password


def _refuse(status: int, error: str) -> web.Response:
    return respond(encode({"error": error}), status=status)
