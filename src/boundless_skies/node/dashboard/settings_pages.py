"""The settings' page, and the saving of what was set."""

import asyncio
from http import HTTPStatus

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.response import Redirect

from boundless_skies.node.config import ConfigFileError, load_config
from boundless_skies.node.dashboard.config_file import save_changes, version_of
from boundless_skies.node.dashboard.gate import exposure_problem
from boundless_skies.node.dashboard.settings_view import (
    VERSION,
    changes_of,
    problems_by_key,
    settings_view,
)
from boundless_skies.node.dashboard.shell import NodeRequest, Page, Shell, go_to, visit_of
from boundless_skies.node.dashboard.visits import Form

CHANGED_MEANWHILE = (
    "The config was changed elsewhere after this page was opened. Nothing was saved; this is "
    "how it stands now."
)


@get("/settings")
async def show_settings(request: NodeRequest, shell: NamedDependency[Shell]) -> Page:
    """Show every setting with what it does."""
    return await asyncio.to_thread(_show_settings, request, shell)


def _show_settings(request: NodeRequest, shell: Shell) -> Page:
    return shell.show(request, "settings.html", view=settings_view(shell.desk), problems={})


@post("/settings")
async def save_settings(
    request: NodeRequest, shell: NamedDependency[Shell]
) -> Response[str] | Redirect:
    """Save what was changed, or say what is wrong with it."""
    return await asyncio.to_thread(_save_settings, request, shell)


def _save_settings(request: NodeRequest, shell: Shell) -> Response[str] | Redirect:
    form, path = visit_of(request).form, shell.desk.config_path
    if form.get(VERSION) != version_of(path):
        return shell.show(
            request,
            "settings.html",
            problem=CHANGED_MEANWHILE,
            status=HTTPStatus.CONFLICT,
            view=settings_view(shell.desk),
            problems={},
        )
    try:
        changes = changes_of(form, load_config(path))
        if not changes:
            return go_to("/settings?done=unchanged")
        _check_exposure(changes, shell)
        save_changes(path, changes)
    except ConfigFileError as error:
        return _show_problems(request, shell, form, error)
    return go_to("/settings?done=saved")


def _check_exposure(changes: dict[str, object], shell: Shell) -> None:
    """Refuse to save what the next start would refuse to serve."""
    block = load_config(shell.desk.config_path)["dashboard"]
    for name in ("host", "password"):
        block[name] = changes.get(f"dashboard.{name}", block[name])
    problem = exposure_problem(block)
    if problem:
        raise ConfigFileError(problem)


def _show_problems(request: NodeRequest, shell: Shell, form: Form, error: ConfigFileError) -> Page:
    problems = problems_by_key(error)
    return shell.show(
        request,
        "settings.html",
        problem="Nothing was saved yet: " + " ".join(error.problems),
        view=settings_view(shell.desk, form, problems),
        problems=problems,
    )


HANDLERS: list[HTTPRouteHandler] = [show_settings, save_settings]
