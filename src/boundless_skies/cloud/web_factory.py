"""Makes of a cloud the application that answers its calls and shows its pages."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from litestar import Litestar, Response, Router
from litestar.datastructures import State
from litestar.di import Provide

from boundless_skies.cloud.domain.errors import NotSignedIn
from boundless_skies.cloud.factory import Cloud
from boundless_skies.cloud.handlers import (
    access_calls,
    curve_calls,
    image_calls,
    node_calls,
    operations,
    operator_calls,
    public_calls,
)
from boundless_skies.cloud.handlers.context import (
    provide_node,
    provide_operator,
    provide_services,
)
from boundless_skies.cloud.handlers.described import build_openapi
from boundless_skies.cloud.handlers.errors import answer_error, describe, status_of
from boundless_skies.cloud.handlers.express import Express
from boundless_skies.cloud.handlers.forms import provide_form, provide_open_form, provide_session
from boundless_skies.cloud.handlers.options import make_options
from boundless_skies.cloud.observing import Observed
from boundless_skies.cloud.pages import operate, reference, views
from boundless_skies.cloud.pages.assets import AssetShelf
from boundless_skies.cloud.pages.renderer import PageRenderer
from boundless_skies.cloud.web import CloudRequest, SecureHeaders, is_api_path


def make_app(cloud: Cloud) -> Observed:
    """Return the web application of a cloud; it opens the cloud, and closes it at its end."""

    @asynccontextmanager
    async def lifespan(_app: Litestar) -> AsyncGenerator[None]:
        async with cloud.serving():
            yield

    renderer = PageRenderer(AssetShelf())
    calls = [
        *node_calls.CALLS,
        *operator_calls.CALLS,
        *access_calls.CALLS,
        *public_calls.CALLS,
        *curve_calls.CALLS,
        *image_calls.CALLS,
    ]
    openapi = build_openapi(calls)
    app = Litestar(
        route_handlers=[
            *make_options(calls),
            *calls,
            *views.PAGES,
            *reference.REFERENCE,
            Router(
                operate.ROOT,
                route_handlers=operate.PAGES,
                dependencies={
                    "session": Provide(provide_session),
                    "form": Provide(provide_form),
                    "open_form": Provide(provide_open_form),
                },
                exception_handlers={NotSignedIn: operate.ask_to_sign_in},
            ),
            *operations.CALLS,
        ],
        dependencies={
            "services": Provide(provide_services, sync_to_thread=False),
            "node": Provide(provide_node),
            "operator": Provide(provide_operator),
            "pages": Provide(lambda: renderer, sync_to_thread=False),
            "openapi": Provide(lambda: openapi, sync_to_thread=False),
        },
        exception_handlers={Exception: partial(_answer_error, renderer)},
        lifespan=[lifespan],
        state=State({"services": cloud.services}),
        request_max_body_size=None,
        openapi_config=None,
        logging_config=None,
    )
    meters = cloud.services.metrics.meters
    express = Express(SecureHeaders(app), cloud.services, node_calls.CONSTANT_CALLS)
    return Observed(express, meters, cloud.config.trusted_proxies)


def _answer_error(renderer: PageRenderer, request: CloudRequest, error: Exception) -> Response[Any]:
    """Answer an error as JSON below ``/api``, as a page elsewhere."""
    if is_api_path(request.scope["path"]):
        return answer_error(request, error)
    status = status_of(error)
    return renderer.respond_error(status, describe(request, error, status))
