"""What the node keeps on disk: its ledger of frames, its status, its lock."""
