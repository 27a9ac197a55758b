"""Bad input of every class: each has its documented result, and nobody sees a traceback."""
