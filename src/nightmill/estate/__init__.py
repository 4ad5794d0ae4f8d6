"""The projects: what they are made of and how to build them. Takes: a repository. Gives: Project."""
