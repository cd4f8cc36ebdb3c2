"""`/healthz`, `/readyz` and `/metrics`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from ipaddress import ip_address

from aiohttp import hdrs, web

from protocol.diagnostic import Diagnostic
from server import VERSION
from server.access_control import permissions
from server.delivery.outbox import Outbox
from server.http.refusals import refuse
from server.http.responses import NO_STORE
from server.http.sign_in import challenge, refusal, sign_in
from server.log import Log
from server.metrics.beat import Beat
from server.metrics.exposition import CONTENT_TYPE, render
from server.metrics.readiness import Readiness
from server.metrics.readings import Readings
from server.service import Service
from store.sqlite import StoreError

# Of a proxy before us: the address that we see is its own, not the client's.
_FORWARDED = ("X-Forwarded-For", "Forwarded", "X-Real-IP")
_WANTED = "Sign in as an operator, or ask from an address of [metrics] allowed_addresses."
_NO_STORE = {hdrs.CACHE_CONTROL: NO_STORE}

log = Log("lianmu.metrics")


class MetricsPages:
    """What whoever watches the server asks for, of one worker."""

    def __init__(
        self, service: Service, outbox: Outbox, http_connections: Callable[[], int]
    ) -> None:
        self._service = service
        config = service.config
        self._networks = config.metrics.networks
        self._totals: dict[str, int] | Exception = {}
        self._readiness = Readiness(
            config, lambda: service.board.snapshots()[-1], self._totals_found
        )
        self._readings = Readings(
            config, service.board.snapshots, self._totals_found, self._readiness
        )
        self._beat = Beat(service, outbox, http_connections)
        self._was_ready = True
        self._reading = asyncio.Lock()

    def add_routes(self, app: web.Application) -> None:
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        if self._service.config.metrics.enabled:
            app.router.add_get("/metrics", self._metrics)

    def start(self) -> None:
        self._beat.start()

    def stop(self) -> None:
        self._beat.stop()

    async def _healthz(self, _: web.Request) -> web.Response:
        """This worker's event loop turns."""
        return web.json_response({"status": "ok", "version": VERSION}, headers=_NO_STORE)

    async def _readyz(self, _: web.Request) -> web.Response:
        """Whether everything is there that a delivery needs, and if not, what is amiss."""
        async with self._reading:
            self._find_totals()
            failures = await asyncio.to_thread(self._readiness.failures)
        wrong = {name: failure for name, failure in failures.items() if failure}
        if bool(wrong) == self._was_ready:
            self._was_ready = not wrong
            if wrong:
                log.error("not ready", **wrong)
            else:
                log.info("ready again")
        document = {
            "status": "not ready" if wrong else "ok",
            "checks": {
                name: {"ok": False, "reason": failure} if failure else {"ok": True}
                for name, failure in failures.items()
            },
        }
        return web.json_response(document, status=503 if wrong else 200, headers=_NO_STORE)

    async def _metrics(self, request: web.Request) -> web.Response:
        """All metrics of the server, whichever worker is asked."""
        refused = await self._refused(request)
        if refused is not None:
            return refused
        self._beat.note()
        async with self._reading:
            self._find_totals()
            text = await asyncio.to_thread(
                lambda: render(self._service.board.total(), self._readings.read())
            )
        return web.Response(body=text, headers={hdrs.CONTENT_TYPE: CONTENT_TYPE, **_NO_STORE})

    def _find_totals(self) -> None:
        """Ask the worker's own catalogue, which belongs to the event loop."""
        try:
            self._totals = dict(self._service.catalogue.totals())
        except Exception as error:
            self._totals = error

    def _totals_found(self) -> dict[str, int]:
        """For the threads; raises what the catalogue raised."""
        if isinstance(self._totals, Exception):
            raise StoreError(f"the catalogue: {self._totals}") from self._totals
        return self._totals

    async def _refused(self, request: web.Request) -> web.Response | None:
        if self._is_allowed(request):
            return None
        principal = await sign_in(self._service, request)
        if isinstance(principal, Diagnostic) and hdrs.AUTHORIZATION in request.headers:
            status, headers = refusal(self._service, request, principal)
            return refuse(request, status, principal.addinfo, headers)
        if isinstance(principal, Diagnostic):
            return refuse(request, 401, _WANTED, challenge(request))
        refused = permissions.refusal(principal, permissions.Operation.METRICS_READ)
        if refused is None:
            return None
        if refused.why is permissions.Why.SIGN_IN:
            return refuse(request, 401, _WANTED, challenge(request))
        return refuse(request, permissions.http_status(refused), f"{refused.text}.")

    def _is_allowed(self, request: web.Request) -> bool:
        if any(name in request.headers for name in _FORWARDED):
            return False
        try:
            address = ip_address(request.remote or "")
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None)  # of a socket for both families
        return any((mapped or address) in network for network in self._networks)
