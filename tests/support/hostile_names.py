"""Names with which a module's author would like to be read as code, as a command, or by the terminal."""

HOSTILE = (
    '"""\nopen("ran", "w")\n"""',
    "'''; open('ran', 'w'); '''",
    "\"'\\",
    "\\",
    "a\nopen('ran', 'w')\n",
    "$(touch ran) `touch ran` ${HOME}",
    "'; touch ran; echo '",
    "\\N{BULLET}\\x41\\u0041",
    "\x1b]0;title\x07\x1b[31mred\x1b[0m",
    "\x9b31m\x85\x7f\r\x08",
    "\u202eexe.\u2066\u2069\u200b\u2028\u2029",
    "{} {0} {model} %s %(a)s {{",
    "[red]:bug:[/red]",
    "--flag; a:b,c?d#e&f=g",
    '", "source=/etc", "',
    "é 中 \U0001f600",
)
