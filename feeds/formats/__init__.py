"""One foreign format a module; ``registry`` lists them in the order in which they are tried."""
