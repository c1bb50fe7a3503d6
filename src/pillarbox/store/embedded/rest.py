"""Rest: a wait that somebody may end early. An event inside of a timeout would cost as much as what is rested from."""

import asyncio


class Rest:
    """Of one task; of one event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._over: asyncio.Future[None] = self._loop.create_future()

    async def take(self, seconds: float) -> None:
        """Wait so long, or until `end`; the others have their turn in any case."""
        self._over = self._loop.create_future()
        timer = self._loop.call_later(seconds, self.end)
        try:
            await self._over
        finally:
            timer.cancel()

    def end(self) -> None:
        """No more rest now, if there is one."""
        if not self._over.done():
            self._over.set_result(None)
