"""One file for each campaign; a new file takes part at once.

Each has

- ``case(trial)``: draws one case from ``trial.rng``, runs it, and raises where something is wrong;
- ``BUDGET``: cases of a full run;
- ``SLICE``: cases of the short run in the test suite, a few seconds.
"""
