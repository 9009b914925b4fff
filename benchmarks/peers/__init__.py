"""The peers: programs that train the same network and are timed side by side.

A *peer* trains the network of a ``Task`` from the same initial weights on the same batches as every other peer. Each
module of this package holds one kind of peer, and ``registry.py`` lists them. scratch's own backends are in the list as
well, so that they are checked and timed in the same way; every ratio is a peer's time divided by that of
``registry.SCRATCH``.

To add a peer, write a module with a subclass of ``base.Peer`` and add one entry to ``registry.PEERS``.
"""
