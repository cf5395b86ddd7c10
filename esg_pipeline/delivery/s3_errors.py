"""What an error of S3, KMS or boto3 means and what to do, in a few words.

The text of the error itself is not passed on: it can hold access keys and request headers.
"""

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    CredentialRetrievalError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
    SSLError,
)

_DENIED = (
    "access is denied; allow s3:ListBucket, s3:GetObject, s3:PutObject and s3:DeleteObject, and "
    "kms:GenerateDataKey and kms:Decrypt on the key, to the pipeline's identity"
)
_REGION = "the bucket is in another region; set AWS_DEFAULT_REGION"
_BUSY = "the store is overloaded and stayed so; run again later"
_INTERNAL = "the store failed by itself; check it and its KMS key, then run again"
_CHANGED = "the bytes changed on their way; check the network, then run again"

_BY_CODE = {
    "NoSuchBucket": "there is no such bucket; check ESG_STORE_URL",
    "AccessDenied": _DENIED,
    "403": _DENIED,
    "InvalidAccessKeyId": "the access key is unknown; check AWS_ACCESS_KEY_ID",
    "SignatureDoesNotMatch": "the secret key is wrong; check AWS_SECRET_ACCESS_KEY",
    "ExpiredToken": "the credentials have expired; renew them",
    "InvalidToken": "the session token is wrong; renew the credentials",
    "RequestTimeTooSkewed": "this machine's clock is wrong; set it (NTP), then run again",
    "KMS.DisabledException": "the KMS key is disabled; enable it, then run again",
    "KMS.NotFoundException": "there is no such KMS key; check ESG_STORE_KMS_KEY_ID",
    "KMS.KMSInvalidStateException": (
        "the KMS key cannot be used in its state (to be deleted?); "
        "set ESG_STORE_KMS_KEY_ID to another"
    ),
    "PermanentRedirect": _REGION,
    "AuthorizationHeaderMalformed": _REGION,
    "301": _REGION,
    "SlowDown": _BUSY,
    "ServiceUnavailable": _BUSY,
    "503": _BUSY,
    "KMS.ThrottlingException": _BUSY,
    "InternalError": _INTERNAL,
    "500": _INTERNAL,
    "BadDigest": _CHANGED,
    "XAmzContentChecksumMismatch": _CHANGED,
    "XAmzContentSHA256Mismatch": _CHANGED,
}

_CREDENTIALS = (
    "no AWS credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give this machine a "
    "role"
)

# The first kind that fits counts.
_BY_KIND: list[tuple[type[BotoCoreError], str]] = [
    (NoCredentialsError, _CREDENTIALS),
    (PartialCredentialsError, _CREDENTIALS),
    (CredentialRetrievalError, _CREDENTIALS),
    (SSLError, "its TLS certificate is not trusted; check the endpoint and AWS_CA_BUNDLE"),
    (ConnectionError, "it cannot be reached; check AWS_ENDPOINT_URL_S3 and the network"),
    (HTTPClientError, "the connection broke; check the network, then run again"),
]


def is_missing(error: BotoCoreError | ClientError) -> bool:
    """Whether the error only says that there is no such object."""
    return isinstance(error, ClientError) and _code(error) in ("NoSuchKey", "404")


def advice_for(error: BotoCoreError | ClientError) -> str:
    """What happened and what to do, with the error's code."""
    if isinstance(error, ClientError):
        code = _code(error)
        return f"{_BY_CODE.get(code, 'the store refused; look the code up')} ({code})"
    for kind, advice in _BY_KIND:
        if isinstance(error, kind):
            return f"{advice} ({type(error).__name__})"
    return f"boto3 gave up ({type(error).__name__})"


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", "unknown"))
