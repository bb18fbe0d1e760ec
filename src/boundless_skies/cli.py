"""The ``boundless`` command: one door to the link's queue, the node, the cloud and the demo.

Each subcommand is loaded only when it is called, so that the bare install
needs nothing of the node's or the cloud's libraries.
"""

import difflib
import importlib
from typing import Any

import click

from boundless_skies import __version__

# name: (module, attribute, extra that brings its libraries, one-line help)
COMMANDS: dict[str, tuple[str, str, str, str]] = {
    "cloud": ("boundless_skies.cloud.main", "cloud", "cloud", "Run and steer a cloud."),
    "demo": ("boundless_skies.demo.main", "demo", "node,cloud", "See it all at work on loopback."),
    "node": ("boundless_skies.node.main", "node", "node", "Run a telescope's node, or measure."),
    "queue": ("boundless_skies.queue_cli", "queue", "", "Look after what waits for the cloud."),
    "simulate": (
        "boundless_skies.simulation.main",
        "simulate",
        "node,cloud",
        "See a network of simulated telescopes at work.",
    ),
}


class LazyGroup(click.Group):
    """A group whose subcommands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all subcommands."""
        return sorted({*super().list_commands(ctx), *COMMANDS})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one subcommand; a missing extra is told with the command that brings it."""
        if cmd_name not in COMMANDS:
            return super().get_command(ctx, cmd_name)
        module, attribute, extra, _ = COMMANDS[cmd_name]
        try:
            command: click.Command = getattr(importlib.import_module(module), attribute)
        except ModuleNotFoundError as error:
            if not extra or (error.name or "").startswith(("boundless_skies", "cloud_comm")):
                raise
            raise click.ClickException(
                f"`boundless {cmd_name}` needs the library {error.name!r}. "
                f'Install it, in a checkout of the project, with: pip install ".[{extra}]"'
            ) from None
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the subcommands without importing them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][3]) for name in sorted(COMMANDS)])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Resolve a subcommand; a misspelt one is answered with the nearest right name."""
        if args and not args[0].startswith("-") and args[0] not in self.list_commands(ctx):
            near = difflib.get_close_matches(args[0], self.list_commands(ctx), n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            ctx.fail(f"No such command {args[0]!r}.{hint}")
        return super().resolve_command(ctx, args)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="boundless")
def main(**_options: Any) -> None:
    """Boundless Skies: a network of home telescopes that does real science.

    \b
    A telescope owner starts with:     boundless node init
    A network operator starts with:    boundless cloud --data DIR
    To see everything at work first:   boundless demo
    """  # noqa: D301 - click wants the backspace itself


if __name__ == "__main__":
    main()
