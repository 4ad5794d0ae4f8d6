"""What a sandbox is on the disk: layers below, snapshots as packs, forks, and the way back to each of them."""
