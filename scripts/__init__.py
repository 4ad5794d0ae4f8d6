"""The tools of the house; none is installed with nightmill."""
