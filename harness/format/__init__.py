"""The model of the format: dtypes, header, a strict judge with named rules, an encoder. Imports no parser."""
