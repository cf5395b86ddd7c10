"""Which exception means what: the one place that turns a failed exchange into a call's outcome.

What a certificate that does not verify means is decided in `tls`.
"""

import errno

import aiohttp

from esg_pipeline.ratings import Reason
from esg_pipeline.scoring.api.call import CallOutcome, CallResult
from esg_pipeline.scoring.api.tls import untrusted
from esg_pipeline.scoring.api.wire import NotHttp

_LOCAL_SHORTAGES = {
    errno.EMFILE,
    errno.ENFILE,
    errno.ENOBUFS,
    errno.ENOMEM,
    errno.EADDRNOTAVAIL,
}
"""The machine ran out of sockets, ports or buffers: nothing was sent."""


def result_of_error(error: Exception) -> CallResult:
    """What came of a call for an account that ended with this error."""
    if isinstance(error, TimeoutError):
        return _failed(Reason.TIMEOUT, "no whole answer in time")
    if isinstance(error, NotHttp):
        return _failed(Reason.UNREADABLE_RESPONSE, "the answer is not HTTP")
    if isinstance(error, aiohttp.ClientConnectorError) and error.errno in _LOCAL_SHORTAGES:
        return CallResult(CallOutcome.NOT_SENT, Reason.CONNECTION)
    if stop := untrusted(error, "ESG_API_URL"):
        return CallResult(CallOutcome.UNTRUSTED, Reason.CONNECTION, stop=stop)
    if isinstance(error, (aiohttp.ClientError, OSError)):
        return _failed(Reason.CONNECTION, f"no connection ({type(error).__name__})")
    # One odd exchange must not end the run; it says nothing about the API.
    return CallResult(
        CallOutcome.FAILED,
        Reason.UNREADABLE_RESPONSE,
        message=f"the exchange broke the client ({type(error).__name__})",
    )


def _failed(reason: Reason, message: str) -> CallResult:
    return CallResult(CallOutcome.FAILED, reason, message=message, is_outage=True)
