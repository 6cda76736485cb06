"""A group of commands whose help says each one's whole first sentence, where click cuts it off."""

import click

LONGEST_SENTENCE = 200


class Group(click.Group):
    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        named = ((name, self.get_command(ctx, name)) for name in self.list_commands(ctx))
        rows = [
            (name, command.get_short_help_str(limit=LONGEST_SENTENCE))
            for name, command in named
            if command
        ]
        with formatter.section("Commands"):
            formatter.write_dl(rows)
