"""Small generated inputs with their output logs as text, compared line by line.

``NAME.in.jsonl`` holds the rows of a tape, ``NAME.out.jsonl`` all that the heart says about it:
every event, the NAV samples, the holders' records, the digest. The configurations are in
``cases.py``. A change of the logs is a change of what users get; where one is meant, write them
anew and say in the commit why they differ::

    python -m tests.golden
"""
