"""Callbacks for frameworks that call models themselves; each needs its framework installed.

Where the libraries beneath are wrapped or instrumented too, a call that names its response's id
counts once all the same: the server knows an answer that it has seen.
"""
