"""The store on the network: an API, live events and pages, for people who are let in. Takes: requests. Gives: answers."""
