"""What is claimed of these products, as tests on the generated sample.

``README.md`` names the command that shows each.
"""
