"""`python -m surgery`: the same as the console command."""

from surgery.cli import main

main()
