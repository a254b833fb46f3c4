"""Who may use the app, and who may do what? Every page that changes something asks here.

On one's own computer everything is allowed. In a shared installation a visitor may look, upload and predict; what uses
the owner's computer, disk or work is for its owners, and for visitors as far as the owner's settings allow it.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit.errors import StreamlitAuthError, StreamlitSecretNotFoundError
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.runtime.scriptrunner import get_script_run_ctx

from cxr_core.config import is_shared
from ui.common.markdown import Markdown, plain_name, plain_text

# What a visitor cannot do, in the words that follow "Visitors cannot".
ACTIONS = {
    "folders": "open folders of this computer",
    "training": "start training or other long computations",
    "deletion": "delete runs",
    "keeping": "change what is saved for everyone",
    "marking": "mark answers as wrong",
}
_ALLOW, _LISTS = "CXR_LAB_ALLOW", ("visitors", "owners")
_SHORT_TRAINING = "CXR_LAB_VISITOR_TRAINING"
# What a page sends. Streamlit's menu for developers, which is not shown, sends more.
_MESSAGES = {"rerun_script", "stop_script", "file_urls_request", "app_heartbeat", "backend_operation_request"}
# Streamlit's names of the visits that have been let in and have not ended.
_let_in: set[str] = set()


@dataclass(frozen=True)
class Access:
    """An owner's settings.

    Attributes:
        shared: people other than the owner use this installation.
        sign_in: nobody is admitted without signing in.
        allowed: the `ACTIONS` that visitors may do.
        visitors: e-mail addresses as `_folded` returns them, or "@example.org" for everybody of a domain.
        owners: e-mail addresses as `_folded` returns them; they may do everything.
        short_training: visitors may train on the teaching set as `jobs.visit_training` has it.
    """

    shared: bool
    sign_in: bool = False
    allowed: frozenset[str] = frozenset()
    visitors: frozenset[str] = frozenset()
    owners: frozenset[str] = frozenset()
    short_training: bool = True

    def lets_in(self, email: str | None) -> bool:
        """Return True if the owner of an e-mail address may use the app at all."""
        if not self.sign_in:
            return True
        if not email or "@" not in email:
            return False
        domain = "@" + email.rpartition("@")[2]
        return bool({_folded(email), _folded(domain)} & (self.visitors | self.owners))

    def is_owner(self, email: str | None) -> bool:
        """Return True if an e-mail address is that of an owner."""
        return email is not None and _folded(email) in self.owners

    def allows(self, action: str, email: str | None = None) -> bool:
        """Return True if somebody, with an e-mail address or without one, may do one of the `ACTIONS`."""
        return not self.shared or action in self.allowed or self.is_owner(email)


def read_access(secrets: Mapping[str, Any], environment: Mapping[str, str], *, shared: bool) -> Access:
    """Read an owner's settings.

    Args:
        secrets: what `.streamlit/secrets.toml` holds.
        environment: environment variables; `CXR_LAB_ALLOW` lists actions, separated by commas, and
            `CXR_LAB_VISITOR_TRAINING=0` switches the short training of visitors off.
        shared: as `config.is_shared` returns it; a sign-in makes an installation shared, too.

    Raises:
        ValueError: the settings contradict each other, are of the wrong kind, or name an unknown action. No address is
            quoted: a stranger reads the sentence.
    """
    allowed = frozenset(word.strip() for word in environment.get(_ALLOW, "").split(",") if word.strip())
    if not allowed <= set(ACTIONS):
        raise ValueError(f"{_ALLOW} must name some of {', '.join(ACTIONS)}; received {', '.join(sorted(allowed))}.")
    short = environment.get(_SHORT_TRAINING, "1").strip()
    if short not in ("0", "1"):
        raise ValueError(f"{_SHORT_TRAINING} must be 0 or 1; received {short!r}.")
    sign_in = _section(secrets, "auth") is not None
    lists = _section(secrets, "access")
    if lists is not None and not sign_in:
        raise ValueError("secrets.toml has an [access] section: without [auth] nobody can be identified.")
    lists = lists or {}
    if not set(lists) <= set(_LISTS):
        raise ValueError(f"The [access] section of secrets.toml may hold {' and '.join(_LISTS)}, and nothing else.")
    visitors, owners = (_addresses(name, lists.get(name, [])) for name in _LISTS)
    if sign_in and not visitors | owners:
        raise ValueError("secrets.toml has an [auth] section: its [access] section must say who may sign in.")
    if any(email.startswith("@") for email in owners):
        raise ValueError("An owner in secrets.toml must be a complete e-mail address.")
    return Access(shared or sign_in, sign_in, allowed, visitors, owners, short == "1")


def _section(secrets: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    section = secrets.get(name)
    if section is not None and not isinstance(section, Mapping):
        raise ValueError(f"[{name}] in secrets.toml must be a section; received {type(section).__name__}.")
    return section


def _addresses(name: str, entries: object) -> frozenset[str]:
    """Return what one of the `_LISTS` holds."""
    if not isinstance(entries, list):
        kind = type(entries).__name__
        raise ValueError(f"{name} in secrets.toml must be a list of e-mail addresses in brackets; received {kind}.")
    for number, entry in enumerate(entries, 1):
        if not isinstance(entry, str) or not entry.rpartition("@")[2] or "@" not in entry:
            raise ValueError(
                f"Entry {number} of {name} in secrets.toml must be an e-mail address or an @ and a domain."
            )
    return frozenset(map(_folded, entries))


def _folded(email: str) -> str:
    """Return an address as it is compared: without capitals where it is ASCII, else as it stands.

    Beyond ASCII, two addresses of different people can have the same small letters.
    """
    return email.lower() if email.isascii() else email


def refusal(action: str) -> Markdown | None:
    """Return a sentence on why a visitor may not do one of the `ACTIONS`; None where they may."""
    if _access().allows(action, _email()):
        return None
    return f"Visitors cannot {ACTIONS[action]} here. The owner of this installation can allow it."


def may(action: str) -> bool:
    """Return True if the visitor may do one of the `ACTIONS`."""
    return refusal(action) is None


def may_train_shortly() -> bool:
    """Return True for a visitor who may not train as they like, but may train on the teaching set."""
    return not may("training") and _access().short_training


def show_refusal(action: str) -> bool:
    """Say why a visitor may not do one of the `ACTIONS`; nothing where they may.

    Returns:
        True if they may not. The action must then not be offered at all: a browser can press a disabled button.
    """
    sentence = refusal(action)
    if sentence:
        st.caption(f":material/lock: {sentence}")
    return sentence is not None


def is_open_to_strangers() -> bool:
    """Return True where the installation is shared, also for its owners."""
    return _access().shared


def may_come_in() -> bool:
    """Return True if the visitor may use the app at all; False where the owner's settings are invalid."""
    try:
        return _access().lets_in(_email())
    except ValueError:
        return False


def require_sign_in() -> None:
    """Stop the page with a sentence, or with a way to sign in, unless the visitor may use the app."""
    try:
        access = _access()
    except ValueError as error:
        st.error(f"This installation is closed: {plain_text(str(error))}")
        st.stop()
    email = _email()
    if not access.lets_in(email):
        _let_in.discard(_visit_name())
        _ask_to_sign_in(email)
        st.stop()
    _let_in.add(_visit_name())


class VisitGate:
    """Takes from a visit what is for a visit to send: an ASGI middleware around Streamlit.

    Streamlit itself takes a file from whoever has opened a page, also one that only asks for a sign-in. It is refused
    here, with 403 and before any of it is read. And whoever has a connection may tell Streamlit to empty all caches,
    with which the data sets of other visits go, or ask for the names of changed files beside the script. No page does;
    such messages are passed over.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on."""
        if scope["type"] == "http" and scope["method"] == "PUT" and not _may_upload(scope["path"]):
            await PlainTextResponse("Sign in before you upload a file.", 403)(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._app(scope, _messages_of_pages(receive), send)
        else:
            await self._app(scope, receive, send)


def _messages_of_pages(receive: Receive) -> Receive:
    async def receive_from_page() -> Message:
        while not _is_of_page(message := await receive()):
            pass
        return message

    return receive_from_page


def _is_of_page(message: Message) -> bool:
    """Return False for what only Streamlit's menu for developers sends."""
    told = BackMsg()
    try:
        told.ParseFromString(message.get("bytes") or b"")
    except DecodeError:
        return True  # Streamlit says itself what is wrong
    return told.WhichOneof("type") in (None, *_MESSAGES)


def _may_upload(path: str) -> bool:
    """Return True if a file may be sent to an address, `…/_stcore/upload_file/<visit>/<file>`."""
    try:
        return not _access().sign_in or path.split("/")[-2] in _let_in
    except (ValueError, IndexError):
        return False


@st.cache_resource(scope="session", on_release=_let_in.discard, show_spinner=False)
def _visit_name() -> str:
    context = get_script_run_ctx()
    return context.session_id if context else ""


def show_who() -> None:
    """Say in the sidebar who is signed in, and offer to sign out; nothing where there is no sign-in."""
    access, email = _access(), _email()
    if access.sign_in and email:
        role = " (owner)" if access.is_owner(email) else ""
        st.sidebar.caption(f"Signed in as {plain_name(email)}{role}")
        st.sidebar.button(
            "Sign out", icon=":material/logout:", on_click=st.logout, help="Signs you out of this app only."
        )


def _ask_to_sign_in(email: str | None) -> None:
    st.title("CXR Lab")
    if not st.user.is_logged_in:
        st.info(
            "This installation is open to people whom its owner has listed. Sign in to continue.",
            icon=":material/login:",
        )
        if st.button("Sign in", type="primary", help="Use the account that the owner of this installation has listed."):
            try:
                st.login()
            except StreamlitAuthError:
                st.error("The sign-in is not fully set up. Please contact the owner of this installation.")
        return
    name = f"{plain_name(email)} is" if email else "An account without a confirmed e-mail address is"
    st.error(f"{name} not on the list of this installation. Contact its owner, or sign in with another account.")
    st.button("Sign out", icon=":material/logout:", on_click=st.logout, help="Sign out to use another account.")


def _access() -> Access:
    try:
        secrets = st.secrets.to_dict()
    except (StreamlitSecretNotFoundError, OSError, UnicodeDecodeError) as error:
        if any(Path(path).exists() for path in st.get_option("secrets.files")):
            # Whoever wrote the file meant to restrict access.
            raise ValueError("secrets.toml cannot be read.") from error
        secrets = {}
    return read_access(secrets, os.environ, shared=is_shared())


def _email() -> str | None:
    """Return the confirmed e-mail address of whoever is signed in; None where there is none."""
    user = st.user.to_dict()
    # Nothing but True counts: a provider may leave a claim out, or send it as text.
    confirmed = user.get("is_logged_in") is True and user.get("email_verified") is True
    email = user.get("email")
    return email if confirmed and isinstance(email, str) else None
