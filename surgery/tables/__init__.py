"""The language in which an encoder family is written: weight rows, evidence rows, recipes, taps."""
