"""People who an identity provider speaks for, by OpenID Connect. Takes: what a browser brings back. Gives: Claimed."""
