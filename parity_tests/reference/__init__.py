"""The reference: the error model, a float64 network with a bound beside every number, and the cases."""
