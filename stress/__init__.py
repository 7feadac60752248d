"""What may come in, by the hundred thousand: random inputs, compared with references that are written independently.

A campaign is one file of `stress.campaigns`, with a function `case` that draws one input and raises where the answer is
wrong. Every case has a number: ``python -m stress --only linear --replay 12345`` runs it again.
"""
