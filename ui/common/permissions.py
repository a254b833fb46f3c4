"""Who may come in and who may do what: the one place that decides, asked by every page that changes something.

On one's own computer everything is allowed. In a shared installation a visitor may look, upload and ask; what takes the
owner's machine, disk or work is for its owners alone, and for visitors as far as the owner's settings say.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import streamlit as st
from streamlit.errors import StreamlitAuthError, StreamlitSecretNotFoundError

from cxr_core.config import is_shared
from ui.common.markdown import plain_name

ACTIONS = {
    "folders": "Opening folders of this computer",
    "training": "Training and other long work",
    "deletion": "Deleting runs",
    "keeping": "Changing what is kept for everyone",
}
_ALLOW, _LISTS = "CXR_LAB_ALLOW", ("visitors", "owners")


@dataclass(frozen=True)
class Access:
    """An owner's settings.

    Attributes:
        shared: bool, strangers use this installation.
        sign_in: bool, nobody is let in unnamed.
        allowed: frozenset of `ACTIONS` that visitors may do.
        visitors: frozenset of lower-case e-mail addresses, or "@example.org" for all of a domain.
        owners: frozenset of lower-case e-mail addresses; they may do everything.
    """

    shared: bool
    sign_in: bool = False
    allowed: frozenset = frozenset()
    visitors: frozenset = frozenset()
    owners: frozenset = frozenset()

    def lets_in(self, email):
        """Return True if the owner of an e-mail address, str or None, may use the app at all."""
        if not self.sign_in:
            return True
        if "@" not in (email or ""):
            return False
        return bool({email.lower(), "@" + email.lower().rpartition("@")[2]} & (self.visitors | self.owners))

    def allows(self, action, email=None):
        """Return True if someone, known by an e-mail address or by none, may do one of the `ACTIONS`."""
        return not self.shared or action in self.allowed or bool(email) and email.lower() in self.owners


def read_access(secrets, environment, *, shared):
    """Read an owner's settings.

    Args:
        secrets: mapping as `.streamlit/secrets.toml` holds it.
        environment: mapping of environment variables; `CXR_LAB_ALLOW` names actions, with commas between.
        shared: bool, as `config.is_shared` returns it; a sign-in makes an installation shared, too.

    Returns:
        Access.

    Raises:
        ValueError: the settings contradict themselves, or name what is unknown.
    """
    allowed = frozenset(word.strip() for word in environment.get(_ALLOW, "").split(",") if word.strip())
    if not allowed <= set(ACTIONS):
        raise ValueError(f"{_ALLOW} must name some of {', '.join(ACTIONS)}; received {', '.join(sorted(allowed))}.")
    sign_in, lists = "auth" in secrets, secrets.get("access", {})
    visitors, owners = (frozenset(str(email).lower() for email in lists.get(name, ())) for name in _LISTS)
    if sign_in and not visitors | owners:
        raise ValueError("secrets.toml has an [auth] section: its [access] section must say who may come in.")
    if lists and not sign_in:
        raise ValueError("secrets.toml has an [access] section: without [auth] nobody can be told apart.")
    if any(email.startswith("@") for email in owners):
        raise ValueError("An owner in secrets.toml must be a whole e-mail address.")
    return Access(shared or sign_in, sign_in, allowed, visitors, owners)


def refusal(action):
    """Return why a visitor may not do one of the `ACTIONS`, in a sentence; None where they may."""
    if _access().allows(action, _email()):
        return None
    return f"{ACTIONS[action]} is off for visitors. The owner of this installation can allow it."


def may(action):
    """Return True if the visitor may do one of the `ACTIONS`."""
    return refusal(action) is None


def show_refusal(action):
    """Say why a visitor may not do one of the `ACTIONS`; nothing where they may.

    Returns:
        bool, whether it was said. What follows is then not to be offered at all: a browser can press a button that
        is only greyed out.
    """
    sentence = refusal(action)
    if sentence:
        st.caption(f":material/lock: {sentence}")
    return sentence is not None


def is_open_to_strangers():
    """Return True where the installation is shared, whoever is looking."""
    return _access().shared


def may_come_in():
    """Return True if the visitor may use the app at all; not where the owner's settings cannot be understood."""
    try:
        return _access().lets_in(_email())
    except ValueError:
        return False


def require_sign_in():
    """Stop the page with a sentence, or with a way to sign in, unless the visitor may come in."""
    try:
        access = _access()
    except ValueError as error:
        st.error(f"This installation is closed: {error}")
        st.stop()
    email = _email()
    if not access.lets_in(email):
        _ask_to_sign_in(email)
        st.stop()


def show_who():
    """Say in the sidebar who is signed in, and offer to sign out; nothing where there is no sign-in."""
    access, email = _access(), _email()
    if access.sign_in:
        role = " (owner)" if email.lower() in access.owners else ""
        st.sidebar.caption(f"Signed in as {plain_name(email)}{role}")
        st.sidebar.button("Sign out", icon=":material/logout:", on_click=st.logout, help="Of this app alone.")


def _ask_to_sign_in(email):
    st.title("CXR Lab")
    if not st.user.is_logged_in:
        st.info("This installation is for people whom its owner has named. Sign in to go on.", icon=":material/login:")
        if st.button("Sign in", type="primary", help="With the account that the owner of this installation knows."):
            try:
                st.login()
            except StreamlitAuthError:
                st.error("The sign-in is not set up completely. Ask the owner of this installation.")
        return
    name = f"{plain_name(email)} is" if email else "An account without a confirmed e-mail address is"
    st.error(f"{name} not on the list of this installation. Ask its owner, or sign in with another account.")
    st.button("Sign out", icon=":material/logout:", on_click=st.logout, help="To sign in with another account.")


def _access():
    try:
        secrets = st.secrets.to_dict()
    except StreamlitSecretNotFoundError as error:
        if any(Path(path).exists() for path in st.get_option("secrets.files")):
            # Whoever wrote the file meant to close the door.
            raise ValueError("secrets.toml cannot be read.") from error
        secrets = {}
    return read_access(secrets, os.environ, shared=is_shared())


def _email():
    """Return the e-mail address of who is signed in; None for one that its provider says is unconfirmed, too."""
    user = st.user.to_dict()
    return user.get("email") if user.get("is_logged_in") and user.get("email_verified") is not False else None
