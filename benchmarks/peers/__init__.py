"""The peers: programs that train the same network and are timed side by side."""
