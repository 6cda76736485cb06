"""Clients of providers' libraries, recorded without a change to the app's calls.

`wrap_client` patches one client, `instrument` patches the classes of every supported library. Both
put the same interception around the same methods; nothing of a provider's library is imported.

To add a provider, write one file beside `openai.py` that holds a `PROVIDER`, and list it in
`registry.py`. A `PROVIDER` says

1. `package` and `clients`: the top-level package of the library and the names of its classes of
   clients; a client is known by these, subclasses included;
2. `methods`: the functions of the library through which calls are made, each with the module and
   class where it lives (for `instrument`) and the attribute path that leads there from a client
   (for `wrap_client`; empty where it is the client's own). Take the narrowest place that every
   call goes through: one method there is worth ten on the surface. Synchronous functions,
   coroutine functions and generators all work as they are;
3. for each method `asked`: what the arguments tell about the call (provider, model, tier), or None
   where the call is not one that is paid for. Where the answer is an ordinary one, a stream, an
   awaitable or a dict with a stream inside, nothing else is needed: the shapes of
   `tokenwatcher.usage` read what it used. Where the library hands out something else, `answered`
   takes it in place of `stream.watched`;
4. `copies`: methods of a client that give another client, which is then wrapped too.
"""

from tokenwatcher.begun import Recording
from tokenwatcher.wrapping.client import hand_over, wrap_client
from tokenwatcher.wrapping.instrument import instrument, uninstrument
from tokenwatcher.wrapping.provider import Asked, Method, Provider

__all__ = [
    "Asked", "Method", "Provider", "Recording", "hand_over", "instrument", "uninstrument",
    "wrap_client",
]  # fmt: skip
