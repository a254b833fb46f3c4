"""A visitor without a screen: speaks to the app as the page in a browser does, and draws nothing.

Streamlit's page and server exchange protocol buffers over a WebSocket, and files over HTTP; the messages are in the
installed package (`streamlit.proto`).
"""

from contextlib import asynccontextmanager

import httpx
import websockets
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg


class Visitor:
    """One session of the app, on one of its pages."""

    def __init__(self, socket, client, page):
        self._socket, self._client, self._page = socket, client, page
        self._elements = []

    async def rerun(self, states=None):
        """Have the page run, and wait until it has; returns its elements, list of protocol buffers."""
        message = BackMsg()
        message.rerun_script.page_name = self._page
        if states is not None:
            message.rerun_script.widget_states.CopyFrom(states)
        await self._socket.send(message.SerializeToString())
        self._elements = []
        while True:
            received = await self._receive()
            if received.WhichOneof("type") == "delta" and received.delta.WhichOneof("type") == "new_element":
                self._elements.append(received.delta.new_element)
            elif received.WhichOneof("type") == "script_finished":
                if received.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY:
                    return self._elements
                self._elements = []

    async def choose(self, label, option):
        """Choose in one of the page's lists, and wait for the page; returns its elements."""
        lists = [e.selectbox for e in self._elements if e.WhichOneof("type") == "selectbox"]
        message = BackMsg()
        place = next(one.id for one in lists if one.label == label)
        message.rerun_script.widget_states.widgets.add(id=place, string_value=option)
        return await self.rerun(message.rerun_script.widget_states)

    async def tell(self, message):
        """Send any message, a BackMsg, and wait for nothing."""
        await self._socket.send(message.SerializeToString())

    async def upload(self, name, data):
        """Give a file to the page's uploader, and wait for the page; returns its elements."""
        uploader = next(e.file_uploader for e in self._elements if e.WhichOneof("type") == "file_uploader")
        place, answer = await self.send(name, data)
        answer.raise_for_status()
        message = BackMsg()
        state = message.rerun_script.widget_states.widgets.add(id=uploader.id)
        info = state.file_uploader_state_value.uploaded_file_info.add(file_id=place.file_id, name=name, size=len(data))
        info.file_urls.CopyFrom(place)
        return await self.rerun(message.rerun_script.widget_states)

    async def send(self, name, data):
        """Send a file to the visit's address, whatever its page shows; returns the address and the server's answer."""
        message = BackMsg()
        message.file_urls_request.request_id = name
        message.file_urls_request.file_names.append(name)
        await self._socket.send(message.SerializeToString())
        while (received := await self._receive()).WhichOneof("type") != "file_urls_response":
            pass
        place = received.file_urls_response.file_urls[0]
        token = {"X-Xsrftoken": self._client.cookies["_streamlit_xsrf"]}
        answer = await self._client.put(place.upload_url, files={"file": (name, data)}, headers=token)
        return place, answer

    async def _receive(self):
        message = ForwardMsg()
        message.ParseFromString(await self._socket.recv())
        return message


def headings(elements):
    """Return the texts of the headings among a page's elements, list of str."""
    return [element.heading.body for element in elements if element.WhichOneof("type") == "heading"]


@asynccontextmanager
async def visit(address, page):
    """Open a session on a page, without its `pages/` and `.py`; yields a Visitor once the page has run."""
    async with httpx.AsyncClient(base_url=address) as client:
        # The cookie that a visitor's own page must bring back with a file.
        (await client.get("/_stcore/health")).raise_for_status()
        stream = address.replace("http", "ws", 1) + "/_stcore/stream"
        async with websockets.connect(stream, subprotocols=["streamlit"], max_size=None) as socket:
            visitor = Visitor(socket, client, page)
            await visitor.rerun()
            yield visitor
