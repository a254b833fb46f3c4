"""How do other programs ask over HTTP?

They get the rows of `cxr-lab predict --json`, with the same limits and the same input gate. Needs the packages of
`requirements-extra.txt`. Nothing that a client sends is written to disk or named in a log.
"""

import base64
import contextlib
import logging
import os
import secrets
import socket
import sys
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import anyio
import uvicorn
from fastapi import Depends, FastAPI, HTTPException, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from fastapi_offline import FastAPIOffline
from pydantic import BaseModel, ConfigDict, Field
from python_multipart.multipart import parse_options_header
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cxr_core.config import MAX_FILE_BYTES, NOTICE
from cxr_core.http_connections import BODY_SECONDS, TimedConnection
from cxr_core.imaging.display import SCREEN_SIDE, png_bytes, shrink
from cxr_core.inference.batch_prediction import predict_batch
from cxr_core.inference.classifier import Classifier
from cxr_core.inference.image_sources import Source
from cxr_core.inference.prediction_rows import with_set
from cxr_core.inference.selective_prediction import Answer

MAX_FILES = 100
MAX_REQUEST_BYTES = 2 * MAX_FILE_BYTES
# Of all requests that are being read, wait or are answered.
MAX_BYTES_IN_MEMORY = 4 * MAX_REQUEST_BYTES
# Requests that are answered at the same time; others wait, but no more than so many.
AT_ONCE = min(4, os.cpu_count() or 1)
MAX_WAITING = 100
TOKEN_VARIABLE = "CXR_LAB_TOKEN"
_VERSION = "1.0.0"
_MIN_TOKEN = 16
_FIELD = "files"
_ASK_FOR_TOKEN = {"WWW-Authenticate": "Bearer"}
# What servers log for a client that left before its answer; nobody reads it.
_GONE = 499
_BUSY = "The server is busy; try again in a few seconds."
_ASK_LATER = {"Retry-After": "5"}
_LIMITS = (
    f"At most {MAX_FILES} files and {MAX_REQUEST_BYTES // 1_000_000} MB in a request, "
    f"{MAX_FILE_BYTES // 1_000_000} MB each."
)

log = logging.getLogger(__name__)


class Nearest(BaseModel):
    """One of the nearest training images by the network's features."""

    class_name: str = Field(alias="class")
    similarity: float = Field(ge=-1.0001, le=1.0001, description="Cosine; 1 is the same image.")


class Wanted(BaseModel):
    """What a client may ask for besides the rows; an unknown parameter is refused, so that a typo is noticed."""

    model_config = ConfigDict(extra="forbid")

    overlay: bool = Field(default=False, description="Add a Grad-CAM overlay to each row.")
    sets: bool = Field(default=False, description="Add to each row all classes that cannot be left out.")


class Row(BaseModel):
    """The answer to one file."""

    # Whatever the command line adds to a row is passed on, too.
    model_config = ConfigDict(extra="allow")

    file: str = Field(description="Name of the file as it was sent.")
    status: Literal["ok", "abstain", "error"]
    label: str | None = Field(description="Predicted class; null for an abstention or an error.")
    probabilities: dict[str, float]
    reasons: list[str] = Field(description="Why the classifier abstains.")
    notes: list[str] = Field(description="What a reader should mind in any case.")
    nearest: list[Nearest]
    error: str | None = Field(description="Why the file could not be read.")
    set: list[str] | None = Field(
        default=None,
        description="Classes that cannot be left out: the true one is among them in 90 % of images like those that the "
        "limits were chosen on.",
    )
    overlay_png: str | None = Field(
        default=None,
        description="Base64 of a PNG, at most "
        f"{SCREEN_SIDE:,} pixels a side: where the classifier looked for its likeliest class.",
    )


class Health(BaseModel):
    """State of the server, and its classifier."""

    status: Literal["ok"]
    model: str
    classes: list[str]
    gate: bool = Field(description="Whether the classifier abstains from images that are not chest radiographs.")
    notice: str


class Problem(BaseModel):
    """Why a request was refused, in one sentence."""

    detail: str


class _InMemoryParser(MultiPartParser):
    """A parser of multipart form data that never writes to disk."""

    spool_max_size = MAX_REQUEST_BYTES + 1


class _Memory:
    """Counts the bytes of bodies in memory, those of all requests together."""

    def __init__(self) -> None:
        self.taken = 0

    @contextlib.contextmanager
    def counted(self, chunks: AsyncGenerator[bytes, None]) -> Iterator[AsyncGenerator[bytes, None]]:
        """Pass a body on until there is no room for it; what it took is free again when the context ends.

        Raises:
            fastapi.HTTPException: there is no room; while the body is read.
        """
        own = 0

        async def count() -> AsyncGenerator[bytes, None]:
            nonlocal own
            async for chunk in chunks:
                if self.taken + len(chunk) > MAX_BYTES_IN_MEMORY:
                    raise HTTPException(503, _BUSY, _ASK_LATER)
                own += len(chunk)
                self.taken += len(chunk)
                yield chunk

        try:
            yield count()
        finally:
            self.taken -= own


class _Log:
    """Middleware that logs route, status and time of every request, and nothing that a client chose freely."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start, status = time.perf_counter(), 500

        async def send_noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, send_noted)
        finally:
            path = getattr(scope.get("route"), "path", "another path")
            log.info("%s: %d in %.0f ms", path, status, 1000 * (time.perf_counter() - start))


def build_api(
    classifier: Classifier, *, token: str | None = None, set_limits: Mapping[str, float] | None = None
) -> FastAPI:
    """Build the HTTP interface of one classifier.

    Args:
        classifier: answers the requests.
        token: what a client must send as a bearer token; None lets anyone ask.
        set_limits: from which probability on a class is in a prediction set, as `prediction_rows.prediction_set` takes
            it; None where no sets are given.
    """
    api = FastAPIOffline(
        title="CXR Lab",
        description=f"{NOTICE} {_LIMITS}",
        version=_VERSION,
        redoc_url=None,
        max_body_size=MAX_REQUEST_BYTES,
    )
    api.add_middleware(_Log)

    @api.exception_handler(RequestValidationError)
    def refuse(_request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        return JSONResponse({"detail": f"{first['loc'][-1]}: {first['msg']}."}, 422)

    _add_health(api, classifier)
    _add_predict(api, classifier, token, set_limits)
    return api


def _add_health(api: FastAPI, classifier: Classifier) -> None:
    @api.get("/health", tags=["health"])
    def health() -> Health:
        """Report that the server runs, and with which classifier. Needs no token."""
        return Health(
            status="ok",
            model=classifier.card.name,
            classes=list(classifier.classes),
            gate=classifier.gate is not None,
            notice=NOTICE,
        )


def _add_predict(
    api: FastAPI, classifier: Classifier, token: str | None, set_limits: Mapping[str, float] | None
) -> None:
    slots, memory = anyio.CapacityLimiter(AT_ONCE), _Memory()

    @api.post(
        "/predict",
        tags=["predict"],
        response_model=list[Row],
        response_model_exclude_unset=True,
        dependencies=[Depends(_token_check(token))] if token else [],
        openapi_extra={"requestBody": _request_body()},
        responses=_problems(with_token=bool(token)),
    )
    async def predict(request: Request, wanted: Annotated[Wanted, Query()]) -> list[dict[str, Any]]:
        """Classify images: one row per file, in the order sent. A file that cannot be read does not stop the rest."""
        if wanted.sets and set_limits is None:
            raise HTTPException(409, "sets: This server gives no prediction sets; it was started without --sets.")
        limits = set_limits if wanted.sets else None
        with memory.counted(request.stream()) as chunks:
            files = await _read_files(request.headers, chunks)
            if slots.statistics().tasks_waiting >= MAX_WAITING:
                raise HTTPException(503, _BUSY, _ASK_LATER)
            async with slots:
                rows = []
                for file in files:
                    if await request.is_disconnected():
                        raise HTTPException(_GONE, "The client has left.")
                    answered = await anyio.to_thread.run_sync(_answer_file, classifier, *file, wanted.overlay, limits)
                    rows.append(answered)
                return rows


def read_token(file: Path | None = None) -> str | None:
    """Return the token that clients must send, or None if none was set.

    Args:
        file: holds the token; None reads the environment variable `CXR_LAB_TOKEN`. The token is never an argument of
            the command line, which every user of a computer can read.

    Raises:
        ValueError: a token was set that is empty or short.
        OSError: the file cannot be read.
    """
    token = file.read_text(encoding="utf-8") if file else os.environ.get(TOKEN_VARIABLE)
    # A header has no blanks at its ends.
    token = None if token is None else token.strip()
    if token is not None and len(token) < _MIN_TOKEN:
        raise ValueError(f"A token must have at least {_MIN_TOKEN} characters; received {len(token)}.")
    return token


def serve_api(api: FastAPI, host: str, port: int) -> None:
    """Answer requests until the process is asked to end.

    Args:
        api: as `build_api` returns it.
        host: the address to listen on.
        port: 0 takes a free one.

    Raises:
        OSError: nothing can listen there; the port is taken, say.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, port), family=family) as listening:
        log.setLevel(logging.INFO)
        log.addHandler(logging.StreamHandler())
        name = f"[{host}]" if ":" in host else host
        address = f"http://{name}:{listening.getsockname()[1]}"
        print(f"Answers at {address}/predict, explained at {address}/docs. {NOTICE}", file=sys.stderr, flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            build_server(api).run(sockets=[listening])


def build_server(api: FastAPI) -> uvicorn.Server:
    """Build the server of an interface, with its limits of time and connections."""
    # Uvicorn's own log of requests would quote whatever a client writes into an address.
    config = uvicorn.Config(
        api, log_level="warning", access_log=False, server_header=False, http=TimedConnection, ws="none", backlog=256
    )
    return uvicorn.Server(config)


def _token_check(token: str) -> Callable[..., None]:
    """Return a dependency that refuses a request without the token."""
    expected = token.encode()

    def check(sent: Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))]) -> None:
        # As it was sent: Starlette reads a header's bytes as Latin-1.
        if sent is None or not secrets.compare_digest(sent.credentials.encode("latin-1"), expected):
            raise HTTPException(401, "Send this server's token: Authorization: Bearer TOKEN.", _ASK_FOR_TOKEN)

    return check


async def _read_files(headers: Headers, chunks: AsyncGenerator[bytes, None]) -> list[tuple[str, bytes]]:
    """Read the files of a request into memory, each with its name.

    Raises:
        fastapi.HTTPException: the request is not a form of files, or larger or slower than the limits.
    """
    kind, parameters = parse_options_header(headers.get("content-type"))
    if kind != b"multipart/form-data":
        raise HTTPException(415, f"Send the images as multipart/form-data, each as a part named {_FIELD}.")
    # Without the charset that a client may name, which Python need not know: names are UTF-8 (RFC 7578).
    boundary = parameters.get(b"boundary", b"").decode("latin-1")
    form_headers = Headers({"content-type": f'multipart/form-data; boundary="{boundary}"'})
    parser = _InMemoryParser(form_headers, chunks, max_files=MAX_FILES, max_fields=0)
    try:
        with anyio.fail_after(BODY_SECONDS):
            form = await parser.parse()
    except TimeoutError as error:
        raise HTTPException(408, f"The request took longer than {BODY_SECONDS:.0f} seconds to arrive.") from error
    except (MultiPartException, ClientDisconnect) as error:
        raise HTTPException(422, f"The form cannot be read. {_LIMITS} Other fields are not accepted.") from error
    files = [
        (part.filename or "", part.file.read())
        for name, part in form.multi_items()
        if name == _FIELD and isinstance(part, UploadFile)
    ]
    if not files or len(files) < len(form.multi_items()):
        raise HTTPException(422, f"Send at least one image, each as a file in a part named {_FIELD}.")
    return files


def _answer_file(
    classifier: Classifier, name: str, data: bytes, with_overlay: bool, limits: Mapping[str, float] | None
) -> dict[str, Any]:
    """Return the row of one file, as on the command line, with an overlay and a prediction set if wanted."""

    def draw(_number: int, answer: Answer) -> str:
        small = replace(answer.prediction, image=shrink(answer.prediction.image, SCREEN_SIDE))
        overlay = replace(answer, prediction=small).overlay(classifier, small.label)
        return base64.b64encode(png_bytes(overlay)).decode("ascii")

    (item,) = predict_batch(
        classifier, [Source(name, lambda: data)], keep=draw if with_overlay else None, isolated=True
    )
    row = with_set(item.row, limits) if limits is not None else item.row
    return {**row, **({"overlay_png": item.kept} if item.kept else {})}


def _request_body() -> dict[str, Any]:
    """Return the schema of the form for the OpenAPI description."""
    files = {"type": "array", "minItems": 1, "maxItems": MAX_FILES, "items": {"type": "string", "format": "binary"}}
    form = {"type": "object", "required": [_FIELD], "additionalProperties": False, "properties": {_FIELD: files}}
    return {"required": True, "content": {"multipart/form-data": {"schema": form}}}


def _problems(*, with_token: bool) -> dict[int | str, dict[str, Any]]:
    """Return the error responses for the OpenAPI description."""
    told = {
        408: "The request took too long to arrive.",
        409: "Prediction sets were asked for, and this server gives none.",
        413: "The request is too large.",
        415: "The request is not a form.",
        422: "The form holds no files, too many, or something else.",
        503: "The server is busy; try again later.",
    } | ({401: "The token is missing or wrong."} if with_token else {})
    return {status: {"model": Problem, "description": text} for status, text in told.items()}
