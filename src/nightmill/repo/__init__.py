"""Git, run so that no repository can make it run anything. Takes: Repo. Gives: Commit, Diff, Bundle."""
