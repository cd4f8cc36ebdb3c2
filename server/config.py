"""The configuration file: one TOML file, read once, checked whole, passed down as values."""

from __future__ import annotations

import os
import tomllib
from importlib.util import find_spec
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from metering.counting import CountingRules, HoldingRemoval, UploadReversal
from metering.tariff import Tariff, TariffError, load_tariffs
from protocol.record import Database, MarcFamily
from store.access_rules import read_network

Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]
Positive = Annotated[int, msgspec.Meta(ge=1)]
Count = Annotated[int, msgspec.Meta(ge=0)]
Seconds = Annotated[float, msgspec.Meta(gt=0)]
Origin = Annotated[str, msgspec.Meta(pattern=r"^(\*|https?://[a-z0-9.:\[\]-]+)$")]
HeaderName = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9-]+$")]
DatabaseName = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z][A-Za-z0-9_.-]{0,63}$")]
CreditCategory = Literal["chinese", "western", "japanese", "russian", "other", "ancient"]
Network = IPv4Network | IPv6Network
LanguageCode = Annotated[str, msgspec.Meta(pattern=r"^[a-z]{3}$")]


class ConfigError(Exception):
    """The configuration cannot be used; the message names file, path and reason."""


class _Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Server(_Section, frozen=True):
    """Processes, files and logs."""

    data_dir: str = "data"
    workers: Count = 0
    connections_together: Count = 16
    shutdown_grace_s: Seconds = 10.0
    disk_free_bytes_min: Count = 268435456
    writer_silence_s_max: Seconds = 60.0
    log_format: Literal["console", "json"] = "console"
    log_level: Literal["debug", "info", "warning", "error"] = "info"


class Tls(_Section, frozen=True):
    """Z39.50 over TLS on a port of its own; without a certificate there is none.

    `client_accounts` gives the account of a client certificate, by the common
    name of its subject or by `sha256:` and its fingerprint in hexadecimal.
    """

    port: Port = 2101
    certificate: str = ""
    key: str = ""
    client_ca: str = ""
    client_certificate_required: bool = False
    client_accounts: dict[str, str] = {}


class Z3950(_Section, frozen=True):
    """The Z39.50 listener and the bounds of one association."""

    host: str = "127.0.0.1"
    port: Port = 2100
    idle_timeout_s: Seconds = 300.0
    apdu_size_bytes_max: Annotated[int, msgspec.Meta(ge=65536, le=16 * 1024 * 1024)] = 4194304
    associations_max: Positive = 5000
    result_sets_max: Positive = 256
    result_sets_bytes_max: Positive = 67108864
    present_records_max: Positive = 10_000
    term_charsets: tuple[Literal["utf-8", "gb18030"], ...] = ("utf-8", "gb18030")
    tls: Tls = Tls()


class HttpLimits(_Section, frozen=True):
    """What an account, or an address without one, may ask of one worker; 0: no limit."""

    requests_per_minute: Count = 6000
    requests_at_once: Count = 32
    anonymous_requests_per_minute: Count = 600
    anonymous_requests_at_once: Count = 16


class HttpCors(_Section, frozen=True):
    """Web pages of which other origins may ask; none, and nothing is allowed.

    `exposed_headers` are those of a response that a page's script may read.
    """

    allowed_origins: tuple[Origin, ...] = ()
    exposed_headers: tuple[HeaderName, ...] = (
        "ETag", "Idempotency-Replayed", "Link", "Location", "Retry-After", "WWW-Authenticate",
    )  # fmt: skip
    max_age_s: Count = 3600


class Http(_Section, frozen=True):
    """The HTTP listener: SRU, status."""

    host: str = "127.0.0.1"
    port: Port = 8080
    public_url: str = ""
    connections_max: Positive = 5000
    idle_timeout_s: Seconds = 75.0
    request_timeout_s: Seconds = 60.0
    write_timeout_s: Seconds = 60.0
    address_bytes_max: Annotated[int, msgspec.Meta(ge=1024, le=1 << 20)] = 65536
    body_bytes_max: Annotated[int, msgspec.Meta(ge=1024, le=1 << 30)] = 1048576
    access_log: bool = True
    session_idle_s: Seconds = 1800.0
    session_max_s: Seconds = 28800.0
    limits: HttpLimits = HttpLimits()
    cors: HttpCors = HttpCors()


class Sru(_Section, frozen=True):
    """Page sizes of SRU, result sets kept between requests, facets, and the usual order.

    Sets are counted for each worker; a longest time of 0 means that none is kept.
    """

    maximum_records_default: Positive = 10
    maximum_records_max: Positive = 100
    result_set_ttl_s_max: Count = 600
    result_sets_max: Positive = 100
    result_sets_bytes_max: Positive = 67108864
    facet_terms_max: Count = 100
    default_order: Literal["record", "relevance"] = "record"


class Access(_Section, frozen=True):
    """Who may come in without an account, how often a login may fail, and through whom.

    Sessions at a time are counted over all workers; 0: any number. `trusted_proxies`
    tell the addresses of clients: over HTTP in headers, and on the listeners of
    `proxy_protocol` in front of each connection.
    """

    anonymous: bool = False
    login_failures_max: Positive = 5
    login_failures_of_address_max: Positive = 50
    login_failures_of_account_max: Positive = 100
    login_pause_s: Seconds = 30.0
    login_pause_max_s: Seconds = 900.0
    sessions_of_account_max: Count = 0
    sessions_of_institution_max: Count = 0
    trusted_proxies: tuple[str, ...] = ()
    proxy_protocol: tuple[Literal["z3950", "z3950s", "http"], ...] = ("z3950", "z3950s")


class Catalogue(_Section, frozen=True):
    """The catalogue database of each process."""

    cache_bytes_max: Positive = 67108864
    merge_interval_s: Seconds = 2.0


class Metering(_Section, frozen=True):
    """The ledger of downloads and holdings."""

    repeat_window_s: Annotated[int, msgspec.Meta(ge=0)] | Literal["day", "year"] = 30
    holding_removal: HoldingRemoval = "takes_back"
    upload_reversal: UploadReversal = "same_year"
    fold_interval_s: Seconds = 0.5
    fsync: bool = True


class TariffSection(_Section, frozen=True):
    """Prices, and the rules by which a record has its category."""

    folder: str = ""
    partner: str = ""
    western_languages: tuple[LanguageCode, ...] = ("eng",)
    ancient_databases: tuple[DatabaseName, ...] = ("ancient",)


class Credit(_Section, frozen=True):
    """What uploads earn a member without anybody looking; a cap of 0 is none."""

    acceptance: Literal["automatic", "operator"] = "automatic"
    records_per_year_max: Count = 0
    category_records_per_year_max: dict[CreditCategory, Count] = {}


class Uploads(_Section, frozen=True):
    """Records that members send over Z39.50 and SRU."""

    waiting_max: Positive = 64


class Covers(_Section, frozen=True):
    """What is taken as a cover image; sides are in pixels."""

    size_bytes_max: Annotated[int, msgspec.Meta(ge=1024, le=1 << 28)] = 1_000_000
    side_pixels_min: Positive = 80
    side_pixels_max: Annotated[int, msgspec.Meta(ge=1, le=8_000)] = 4_000


class Holdings(_Section, frozen=True):
    """Files of holdings that members send."""

    file_bytes_max: Positive = 268435456


class Batch(_Section, frozen=True):
    """ISBN jobs: lists of numbers in, one file of records out."""

    numbers_max: Positive = 100_000
    jobs_at_once_max: Positive = 3
    kept_days: Annotated[int, msgspec.Meta(ge=1)] = 90


class Settlement(_Section, frozen=True):
    """When a year becomes final, and which late differences are worth a note of their own."""

    grace_days: Count = 31
    note_minimum_fen: Count = 0


class Statement(_Section, frozen=True):
    """What statements say of payment and contact, and what they are made with.

    An empty text is left out. Without a font PDF takes one of the system.
    """

    issuer: str = ""
    payee: str = ""
    bank: str = ""
    bank_code: str = ""
    account_number: str = ""
    contact: str = ""
    phone: str = ""
    email: str = ""
    address: str = ""
    remark: str = ""
    due_days: Count = 30
    font: str = ""
    font_bold: str = ""
    lines_max: Count = 1000


class UsageReports(_Section, frozen=True):
    """What usage reports name, and whose usage is no reader's."""

    platform: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_.-]{1,32}$")] = "Lianmu"
    publisher: str = ""
    registry_record: str = ""
    excluded_accounts: tuple[str, ...] = ()


class Metrics(_Section, frozen=True):
    """Who may read /metrics without an account: addresses and networks."""

    enabled: bool = True
    allowed_addresses: tuple[str, ...] = ("127.0.0.1", "::1")

    @property
    def networks(self) -> tuple[Network, ...]:
        return tuple(ip_network(each) for each in self.allowed_addresses)


class Tracing(_Section, frozen=True):
    """OpenTelemetry: where spans of requests are sent; "" for none.

    `sample_ratio` is the share of the requests that are traced.
    """

    otlp_endpoint: Annotated[str, msgspec.Meta(pattern=r"^(https?://.+)?$")] = ""
    service_name: str = "lianmu"
    sample_ratio: Annotated[float, msgspec.Meta(ge=0, le=1)] = 1.0


class DatabaseSection(_Section, frozen=True):
    """One database of the catalogue.

    `also_as` names record syntaxes of the other MARC family under which its
    records go out as they are, for clients that ask so and decode the family.
    """

    name: DatabaseName
    title: str
    family: MarcFamily
    aliases: tuple[DatabaseName, ...] = ()
    also_as: tuple[Literal["usmarc", "unimarc"], ...] = ()


DEFAULT_DATABASES = (
    DatabaseSection(name="cn_cat", title="中文图书 Chinese", family=MarcFamily.UNIMARC),
    DatabaseSection(name="we_cat", title="西文图书 Western", family=MarcFamily.MARC21),
    DatabaseSection(name="jp_cat", title="日文图书 Japanese", family=MarcFamily.UNIMARC),
    DatabaseSection(name="ru_cat", title="俄文图书 Russian", family=MarcFamily.UNIMARC),
    DatabaseSection(name="ancient", title="古籍 Ancient books", family=MarcFamily.UNIMARC),
)


class Config(_Section, frozen=True):
    """The whole file."""

    server: Server = Server()
    z3950: Z3950 = Z3950()
    http: Http = Http()
    sru: Sru = Sru()
    access: Access = Access()
    catalogue: Catalogue = Catalogue()
    metering: Metering = Metering()
    tariff: TariffSection = TariffSection()
    credit: Credit = Credit()
    uploads: Uploads = Uploads()
    covers: Covers = Covers()
    holdings: Holdings = Holdings()
    batch: Batch = Batch()
    settlement: Settlement = Settlement()
    statement: Statement = Statement()
    usage_reports: UsageReports = UsageReports()
    metrics: Metrics = Metrics()
    tracing: Tracing = Tracing()
    database: tuple[DatabaseSection, ...] = DEFAULT_DATABASES

    @property
    def databases(self) -> tuple[Database, ...]:
        return tuple(Database(d.name, d.title, d.family, d.aliases) for d in self.database)

    @property
    def data_dir(self) -> Path:
        return Path(self.server.data_dir)

    @property
    def members_path(self) -> Path:
        return self.data_dir / "members.sqlite"

    @property
    def counting_rules(self) -> CountingRules:
        return CountingRules(
            self.metering.repeat_window_s,
            self.metering.holding_removal,
            self.metering.upload_reversal,
        )

    @property
    def ledger_path(self) -> Path:
        return self.data_dir / "ledger.sqlite"

    @property
    def spool_dir(self) -> Path:
        return self.data_dir / "spool"

    @property
    def tariffs(self) -> tuple[Tariff, ...]:
        """Every version, by date of effect; reads the operator's files.

        Raises:
            TariffError: one cannot be used; `load_config` has looked at them before.
        """
        folder = Path(self.tariff.folder) if self.tariff.folder else None
        return load_tariffs(folder, self.tariff.partner)

    @property
    def credit_path(self) -> Path:
        return self.data_dir / "credit.sqlite"

    @property
    def covers_path(self) -> Path:
        return self.data_dir / "covers.sqlite"

    @property
    def covers_dir(self) -> Path:
        return self.data_dir / "covers"

    @property
    def batch_dir(self) -> Path:
        return self.data_dir / "batch"

    @property
    def run_dir(self) -> Path:
        return self.data_dir / "run"

    @property
    def workers(self) -> int:
        return self.server.workers or os.cpu_count() or 1


RESERVED_DATABASE_NAMES = frozenset({"default", "all", "ir-explain-1"})


def load_config(path: Path) -> Config:
    """Read and check `path`; relative paths in it are taken from the file's folder.

    Raises:
        ConfigError: unreadable, not TOML, an unknown key or a value out of range.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not TOML: {error}") from None
    return parse_config(document, path)


def _can_trace() -> bool:
    """Whether what sends spans is installed."""
    try:
        return all(map(find_spec, ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")))
    except ModuleNotFoundError:
        return False


def parse_config(document: dict[str, Any], path: Path) -> Config:
    """Check a parsed document; `path` is used in messages and for relative paths."""
    try:
        config = msgspec.convert(document, Config)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path}: {error}") from None
    seen: set[str] = set()
    for number, section in enumerate(config.database):
        for name in (section.name, *section.aliases):
            folded = name.lower()
            if folded in RESERVED_DATABASE_NAMES:
                raise ConfigError(f"{path}: `{name}` is reserved - at `$.database[{number}]`")
            if folded in seen:
                raise ConfigError(f"{path}: `{name}` is there twice - at `$.database[{number}]`")
            seen.add(folded)
    if not config.database:
        raise ConfigError(f"{path}: at least one [[database]] is needed - at `$.database`")
    if config.sru.maximum_records_default > config.sru.maximum_records_max:
        raise ConfigError(
            f"{path}: Expected at most maximum_records_max - at `$.sru.maximum_records_default`"
        )
    for number, network in enumerate(config.access.trusted_proxies):
        try:
            read_network(network)
        except ValueError as error:
            raise ConfigError(
                f"{path}: {error} - at `$.access.trusted_proxies[{number}]`"
            ) from None
    tls = config.z3950.tls
    if (tls.client_accounts or tls.client_certificate_required) and not tls.client_ca:
        raise ConfigError(
            f"{path}: client certificates need an authority - at `$.z3950.tls.client_ca`"
        )
    if config.tracing.otlp_endpoint and not _can_trace():
        raise ConfigError(
            f"{path}: the packages of tracing are missing: pip install 'lianmu[tracing]'"
            " - at `$.tracing.otlp_endpoint`"
        )
    for number, address in enumerate(config.metrics.allowed_addresses):
        try:
            ip_network(address)
        except ValueError as error:
            place = f"$.metrics.allowed_addresses[{number}]"
            raise ConfigError(f"{path}: {error} - at `{place}`") from None
    folder = path.resolve().parent
    files = {
        name: str((folder / value).resolve())
        for name in ("certificate", "key", "client_ca")
        if (value := getattr(tls, name))
    }
    replace = msgspec.structs.replace
    z3950 = replace(config.z3950, tls=replace(tls, **files))
    data_dir = (folder / config.server.data_dir).resolve()
    tariff = config.tariff
    if tariff.folder:
        tariff = replace(tariff, folder=str((folder / tariff.folder).resolve()))
    server = replace(config.server, data_dir=str(data_dir))
    config = replace(config, server=server, z3950=z3950, tariff=tariff)
    try:
        _ = config.tariffs
    except TariffError as error:
        raise ConfigError(f"{path}: {error} - at `$.tariff.folder`") from None
    return config
