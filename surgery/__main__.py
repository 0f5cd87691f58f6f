"""`python -m surgery`: the same as the console command."""

from surgery.cli.main import command

command()
