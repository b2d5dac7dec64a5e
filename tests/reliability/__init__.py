"""Whether the engine keeps its promises: the store, intake and the worker under every fault."""
