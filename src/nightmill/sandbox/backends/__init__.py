"""Other ways to make a sandbox than bubblewrap: containers, pods, Seatbelt. Takes: Place. Gives: Workspace."""
