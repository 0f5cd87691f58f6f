"""Pages of HTML, one self-contained file each: a page is a list of sections, drawn from the JSON of the commands.

A section (`section.py`) is a heading, a template in `templates/`, and a function that takes from the documents what the
template shows. `rendering.py` puts sections together, with the documents, the style, the scripts and the libraries
inside the file; `writing.py` writes it in one step. `sections/` has the sections of a module's page, `differences/`
those of two modules side by side. `form.py` checks what a page is drawn from where anybody may have written it.
"""
