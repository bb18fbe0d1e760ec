"""The subcommands of ``boundless cloud``: one module per subject."""
