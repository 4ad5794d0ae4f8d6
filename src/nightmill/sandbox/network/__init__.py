"""The one way out of a sandbox: names and addresses, TLS and credentials, heads and bodies, what is told of them."""
