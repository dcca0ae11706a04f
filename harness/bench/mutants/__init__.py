"""``harness bench mutants``: of the small mistakes that could be made in the parser, how many does the corpus catch?

A *mutant* is the parser with one small change. It is *killed* when a replay of the committed corpus shows a finding that the
parser without the change does not show. A change that does not compile is *unviable*, and one that compiles to the very same code
is *identical*; neither is counted.
"""
