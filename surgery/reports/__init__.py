"""Reports of results, as JSON data and as text for people.

The report of a command is in the file of its name, such as `tap`. Other results have `edited_model`, `hyperparameters`
and `parity`. Each has `data(result)`, whose facts JSON can hold, and `text(console, data)`, which prints them. All
other files are parts of reports; `page` is what they are printed on.
"""
