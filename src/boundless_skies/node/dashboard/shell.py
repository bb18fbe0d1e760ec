"""What all pages share: how they are rendered, and what they say of what was just done."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, TypeAlias, cast

from litestar import MediaType, Request, Response
from litestar.datastructures import State
from litestar.response import Redirect

from boundless_skies.node.dashboard.desk import Desk
from boundless_skies.node.dashboard.gate import TOKEN_FIELD
from boundless_skies.node.dashboard.pulse import Pulse
from boundless_skies.node.dashboard.rendering import Renderer
from boundless_skies.node.dashboard.visits import Attempts, Password, Sessions, Visit

NodeRequest: TypeAlias = Request[Any, Any, State]
Page: TypeAlias = Response[str]

DONE: Mapping[str, str] = {
    "accepted": "The plan is accepted.",
    "rejected": "The plan is rejected; nothing of it will be observed.",
    "asked": "The node has been asked. What comes of it shows here.",
    "replayed": "They are back in the queue; the node tries them again after its next beat.",
    "saved": "The settings are saved. They take effect when the node starts again.",
    "unchanged": "Nothing was changed.",
}
"""What a page says of what was just done, by the word in its address."""


@dataclass(frozen=True, kw_only=True)
class Shell:
    """The parts that requests are served with."""

    desk: Desk
    renderer: Renderer
    pulse: Pulse
    sessions: Sessions
    attempts: Attempts
    password: Password

    def show(
        self,
        request: NodeRequest,
        template: str,
        *,
        problem: str = "",
        status: HTTPStatus | None = None,
        **values: Any,
    ) -> Page:
        """Return a page; with a problem, as the answer to a form that was refused."""
        visit = visit_of(request)
        default = HTTPStatus.BAD_REQUEST if problem else HTTPStatus.OK
        content = self.renderer.render(
            template,
            token=visit.token,
            token_field=TOKEN_FIELD,
            may_sign_out=bool(self.password) and visit.signed_in,
            node_name=self._node_name,
            problem=problem,
            done="" if problem else DONE.get(request.query_params.get("done", ""), ""),
            **values,
        )
        return Response(content, status_code=status or default, media_type=MediaType.HTML)

    @property
    def _node_name(self) -> str:
        config = self.desk.config
        return str(config["observatory"]["name"] or config["photometry"]["node_id"])


def visit_of(request: NodeRequest) -> Visit:
    """Return whose request this is, and its form."""
    return cast("Visit", cast("dict[str, Any]", request.scope)["visit"])


def go_to(path: str) -> Redirect:
    """Lead on to a page after something was done, so that loading it anew does not do it again."""
    return Redirect(path, status_code=303)
