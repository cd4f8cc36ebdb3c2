"""One worker process: its Z39.50 and HTTP listeners over one event loop."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from functools import partial

from server.config import Config
from server.errors import StartError
from server.http.server import HttpServer
from server.live.board import LiveBoard
from server.log import Log
from server.service import Service
from server.steering import Place
from server.z3950.server import Z3950Server
from server.z3950.tls import server_context

log = Log("lianmu.worker")


async def serve(
    config: Config,
    board: LiveBoard,
    index: int,
    z3950_listener: socket.socket,
    http_listener: socket.socket,
    tls_listener: socket.socket | None,
    place: Place,
    ready: int,
    lifeline: int,
) -> None:
    """Serve until SIGTERM, or until the supervisor is gone.

    `ready` is written one octet once all listeners accept; `lifeline` becomes
    readable when the supervisor has ended. SIGHUP reads the certificates of
    TLS again.
    """
    board.recent.keep(f"worker-{index}")
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_reader(lifeline, stop.set)
    async with Service(config, index, board, place) as service:
        z3950 = Z3950Server(config, service)
        http = HttpServer(config, service, z3950)
        await z3950.start(z3950_listener)
        renewals: set[asyncio.Task[None]] = set()
        if tls_listener is not None:
            await z3950.start(tls_listener, server_context(config.z3950.tls))
            renew = partial(_renew_tls, config, z3950, tls_listener)

            def begin_renewal() -> None:
                task = loop.create_task(renew())
                renewals.add(task)
                task.add_done_callback(renewals.discard)

            loop.add_signal_handler(signal.SIGHUP, begin_renewal)
        await http.start(http_listener)
        log.debug("worker ready", worker=index, pid=os.getpid())
        os.write(ready, b"1")
        os.close(ready)
        await stop.wait()
        loop.remove_reader(lifeline)
        await asyncio.gather(z3950.stop(config.server.shutdown_grace_s), http.stop())
        await z3950.outbox.finish()


async def _renew_tls(config: Config, z3950: Z3950Server, listener: socket.socket) -> None:
    """Read the certificates again; ones that cannot be used change nothing."""
    try:
        tls = server_context(config.z3950.tls)
    except StartError as error:
        log.error("certificates not renewed", reason=str(error))
        return
    await z3950.start(listener, tls)
    log.debug("certificates renewed", pid=os.getpid())
