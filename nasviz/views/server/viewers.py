"""What a viewer's page may say to its kernel, and what the kernel may say to the page.

Voilà shows no code, but a page talks to its kernel over a websocket, and whoever opens the page can open that, too. So
what is allowed is decided here, on the server, message by message.
"""

import json
from typing import Any

from jupyter_server.services.kernels.connection.base import deserialize_binary_message, deserialize_msg_from_ws_v1
from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection

MAY_SAY = {"comm_msg", "comm_close", "comm_info_request", "kernel_info_request"}
"""Messages of a page: the state of its widgets, and which there are. None of them runs code."""
CONTROL = "jupyter.widget.control"
"""The only target that a page opens by itself: by it, it asks for all widgets. Others would make new ones."""
MAY_NOT_HEAR = {"error", "stream", "execute_input"}
"""Messages of a kernel that show code, paths or tracebacks. Panels say what went wrong in a sentence of their own."""


class ViewerConnection(ZMQChannelsWebsocketConnection):
    """The connection between one page and its kernel."""

    def handle_incoming_message(self, incoming_msg: Any) -> None:
        """Pass a message of the page on, if a viewer may send it."""
        try:
            kind, target = self._read(incoming_msg)
        except (ValueError, LookupError, TypeError, AttributeError, OverflowError):
            self.log.warning("A page sent something that is no message; it was not passed on.")
            return
        if kind in MAY_SAY or (kind == "comm_open" and target == CONTROL):
            super().handle_incoming_message(incoming_msg)
        else:
            self.log.warning("A page sent a message of type %r, which viewers may not; it was not passed on.", kind)

    def handle_outgoing_message(self, stream: str, outgoing_msg: list[Any]) -> None:
        """Pass a message of the kernel on, if a viewer may see it."""
        _, parts = self.session.feed_identities(outgoing_msg)
        kind = self.session.unpack(parts[1])["msg_type"]
        if kind == "error":
            said = self.session.unpack(parts[4])
            self.log.error("A page failed: %s", "\n".join(said.get("traceback") or [str(said.get("evalue"))]))
        if kind not in MAY_NOT_HEAR:
            super().handle_outgoing_message(stream, outgoing_msg)

    def _read(self, message: Any) -> tuple[str, str]:
        """The type of a message and, if it opens a comm, of what."""
        if self.subprotocol == "v1.kernel.websocket.jupyter.org":
            _, parts = deserialize_msg_from_ws_v1(message)
            header, content = self.session.unpack(parts[0]), self.session.unpack(parts[3])
        else:
            whole = deserialize_binary_message(message) if isinstance(message, bytes) else json.loads(message)
            header, content = whole["header"], whole.get("content", {})
        return str(header["msg_type"]), str(content.get("target_name", ""))
