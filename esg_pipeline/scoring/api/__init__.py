"""One call of the ESG API: its credentials, its bytes on the wire, and how its answer is read.

How often, when and for which account a call is made is decided in `scoring`.
"""
