"""Options that name a file to be written and need no name: safe beside a list of files to read."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import click


class OptionalNames(click.Command):
    """A command whose options of this kind never take a file that is there to be read.

    In ``--plot night/``, the folder is what shall be measured, not the picture's name: after
    such an option, a path that exists is its name only with the ending that its files have.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Give such an option its own default where the next word is a file to be read."""
        return super().parse_args(ctx, list(_spelt_out(args, self._defaults())))

    def _defaults(self) -> dict[str, str]:
        options = (param for param in self.params if isinstance(param, click.Option))
        return {
            name: option.flag_value
            for option in options
            if not option.is_flag and isinstance(option.flag_value, str)
            for name in option.opts
        }


def _spelt_out(args: Sequence[str], defaults: Mapping[str, str]) -> Iterator[str]:
    ended = False
    for word, after in zip(args, [*args[1:], ""], strict=True):
        ended = ended or word == "--"
        default = None if ended else defaults.get(word)
        alone = default is not None and _is_to_be_read(after, Path(default).suffix)
        yield f"{word}={default}" if alone else word


def _is_to_be_read(word: str, ending: str) -> bool:
    return Path(word).suffix.lower() != ending and Path(word).exists() if word else False
