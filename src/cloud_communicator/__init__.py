"""The link: keeps one node in touch with the cloud, whatever the network does."""
