"""How cost grows with what people have: messages, connections, accounts, octets, a queue. `python -m bench.growth`."""
