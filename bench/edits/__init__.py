"""Do edits land? Real changes, quoted the way models misquote, given to our finder and to those of five peers."""
