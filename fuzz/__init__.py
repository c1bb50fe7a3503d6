"""Coverage-guided fuzzing of everything that strangers feed: `make fuzz [TARGET=name] [SECONDS=60]`.

`fuzz.targets` has one function for each parser and engine, `fuzz/corpus/NAME/` the inputs that are kept (a past finding
is a file with a name of its own), `fuzz/dictionaries` the words that inputs are made of, `fuzz.bounds` what an input may
cost, `fuzz.run` runs one target under atheris (or without), `fuzz.__main__` all of them. `tests/fuzz` runs the corpus
without atheris.
"""
