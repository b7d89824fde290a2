"""What the machine and this process are doing while a run goes on, sampled by one thread.

A source is a callable that returns names and numbers; what it cannot read here it leaves out. `watch`
decides when a run is sampled, `sampler` is the thread. No sample is ever taken on the caller's thread.
"""
