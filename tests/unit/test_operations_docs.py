"""What docs/operations tells an operator to type, copy and watch is there and works."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

import metering.credit_claims
import metering.ledger_schema
import metering.search_counts
import metering.settlement_store
import store.api_idempotency
import store.covers
import store.members
import store.sqlite
from docs import dashboard
from server.cli import main
from server.config import load_config
from server.metrics.definitions import METRICS

DOCS = Path(__file__).resolve().parents[2] / "docs"
OPERATIONS = DOCS / "operations"
RULES = yaml.safe_load((OPERATIONS / "alerts.yml").read_text("utf-8"))
ALERTS = [rule for group in RULES["groups"] for rule in group["rules"]]
SERIES = {name for metric in METRICS for name in metric.series}
_METRIC = re.compile(r"\blianmu_\w+")
_FENCED = re.compile(r"^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`([^`]+)`")
_UNIT_COMMAND = re.compile(r"^Exec\w+=(.*)$", re.MULTILINE)
PROGRAM = "/opt/lianmu/.venv/bin/lianmu"


def texts() -> Iterator[tuple[str, str]]:
    """Every piece of the docs that may be a command, with where it is from."""
    for path in sorted(OPERATIONS.glob("*.md")):
        page = path.read_text("utf-8")
        for block in _FENCED.findall(page):
            for line in block.replace("\\\n", " ").splitlines():
                yield path.name, line
        for span in _INLINE.findall(_FENCED.sub("", page)):
            yield path.name, span.replace("\n", " ")
    for path in sorted(OPERATIONS.glob("*.service")):
        for line in _UNIT_COMMAND.findall(path.read_text("utf-8")):
            yield path.name, line


def commands() -> list[tuple[str, list[str]]]:
    """The words behind `lianmu` in each command of ours."""
    found = []
    for place, text in texts():
        for part in re.split(r"&&|\||;", text.partition("#")[0]):
            try:
                words = shlex.split(part)
            except ValueError:  # no command line
                continue
            if words[:1] == ["sudo"]:
                words = words[3:] if words[1:2] == ["-u"] else words[1:]
            if words[:1] in (["lianmu"], [PROGRAM]) and words[1:]:
                found.append((place, words[1:]))
    return found


def check(words: list[str]) -> None:
    """Raises AssertionError where `lianmu` would refuse the words."""
    command: click.Command = main
    path, rest = ["lianmu"], list(words)
    while isinstance(command, click.Group) and rest:
        context = click.Context(command, info_name=path[-1])
        found = command.get_command(context, rest[0])
        if found is None and "make" in command.list_commands(context):
            found = command.get_command(context, "make")  # which may be left out
            rest.insert(0, "make")
        assert found is not None, f"{' '.join(path)} has no command {rest[0]}"
        path.append(rest.pop(0))
        command = found
    options = {
        name: option
        for option in command.params
        if isinstance(option, click.Option)
        for name in (*option.opts, *option.secondary_opts)
    }
    positional = 0
    while rest:
        word = rest.pop(0)
        if not word.startswith("--"):
            positional += 1
            continue
        name, is_joined, _ = word.partition("=")
        assert name in options, f"{' '.join(path)} has no option {name}"
        if not options[name].is_flag and not is_joined:
            assert rest, f"{name} wants a value"
            rest.pop(0)
    arguments = [each for each in command.params if isinstance(each, click.Argument)]
    if all(each.nargs == 1 for each in arguments):
        assert positional <= len(arguments), f"{' '.join(path)}: too many words"


def test_every_command_in_the_docs_is_one_of_ours() -> None:
    found = commands()
    assert len(found) > 30
    assert {words[0] for _, words in found} >= {"serve", "backup", "restore", "doctor", "ledger"}
    for place, words in found:
        try:
            check(words)
        except AssertionError as error:
            raise AssertionError(f"{place}: lianmu {' '.join(words)}: {error}") from None


@pytest.mark.parametrize(
    "words",
    ["bakcup /b", "doctor --al", "backup verify /b --keep 3", "restore a b", "serve --config"],
)
def test_a_command_that_is_none_is_noticed(words: str) -> None:
    with pytest.raises(AssertionError):
        check(shlex.split(words))


def test_every_configuration_key_in_the_docs_exists() -> None:
    import msgspec

    from server.config import Config

    sections: dict[str, Any] = msgspec.to_builtins(Config())
    tried = 0
    for path in sorted(OPERATIONS.glob("*.md")):
        for section, key in re.findall(r"`\[([a-z0-9.]+)\]\s+([a-z_]+)", path.read_text("utf-8")):
            at = sections
            for name in section.split("."):
                at = at[name]
            assert key in at, f"{path.name}: [{section}] {key}"
            tried += 1
    assert tried > 10


def test_links_lead_somewhere() -> None:
    tried = 0
    for path in sorted(OPERATIONS.glob("*.md")):
        for target in re.findall(r"\]\(([^)]+)\)", path.read_text("utf-8")):
            file, _, anchor = target.partition("#")
            page = path.parent / file if file else path
            assert page.exists(), f"{path.name}: {target}"
            if anchor:
                headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
                assert anchor in {each.lower().replace(" ", "-") for each in headings}, target
            tried += 1
    assert tried > 20


# Alerts and dashboard


def test_every_page_is_reached_by_links_from_the_readme() -> None:
    found = {DOCS.parent / "README.md"}
    todo = list(found)
    while todo:
        page = todo.pop()
        for target in re.findall(
            r"\]\(([^)#:]+\.md|[^)#:]+/)(?:#[^)]*)?\)", page.read_text("utf-8")
        ):
            path = (page.parent / target).resolve()
            if path.is_file() and path not in found:
                found.add(path)
                todo.append(path)
    assert set(DOCS.rglob("*.md")) <= found


def test_upgrade_tells_the_schemas_that_there_are() -> None:
    rows = re.findall(
        r"^\| (.+?) \| ([0-9]+) \|", (OPERATIONS / "upgrade.md").read_text("utf-8"), re.MULTILINE
    )
    told = {name.strip("` "): int(version) for names, version in rows for name in names.split(",")}
    assert told == {
        "catalogue.sqlite": store.sqlite.SCHEMA_VERSION,
        "members.sqlite": store.members.SCHEMA_VERSION,
        "ledger.sqlite": metering.ledger_schema.SCHEMA_VERSION,
        "its settlements": metering.settlement_store.SCHEMA_VERSION,
        "credit.sqlite": metering.credit_claims.SCHEMA_VERSION,
        "usage.sqlite": metering.search_counts.SCHEMA_VERSION,
        "api.sqlite": store.api_idempotency.SCHEMA_VERSION,
        "covers.sqlite": store.covers.SCHEMA_VERSION,
    }


def test_every_alert_is_in_the_runbook_and_no_other() -> None:
    page = (OPERATIONS / "runbook.md").read_text("utf-8")
    sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL))
    assert sections.keys() == {rule["alert"] for rule in ALERTS}
    for name, text in sections.items():
        assert [f"**{word}**" in text for word in ("Means", "See", "Do")] == [True] * 3, name
    for rule in ALERTS:
        assert rule["annotations"]["runbook"] == f"runbook.md#{rule['alert'].lower()}"
        assert rule["annotations"]["summary"]
        assert rule["labels"]["severity"] in ("critical", "warning", "info")


def test_alerts_use_metrics_that_exist() -> None:
    used = {name for rule in ALERTS for name in _METRIC.findall(rule["expr"])}
    assert len(used) > 15
    assert used <= SERIES


def test_pages_name_metrics_that_exist() -> None:
    for path in sorted(OPERATIONS.glob("*.md")):
        found = set(_METRIC.findall(path.read_text("utf-8")))
        assert found <= SERIES | {metric.name for metric in METRICS}, path.name


def promtool(*arguments: str) -> None:
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_takes_the_rules_and_they_fire_when_they_should(tmp_path: Path) -> None:
    rules = OPERATIONS / "alerts.yml"
    promtool("check", "rules", str(rules))
    tests = Path(__file__).parents[1] / "metrics" / "alerts_test.yml"
    with_path = tmp_path / "alerts_test.yml"
    with_path.write_text(tests.read_text("utf-8").replace("ALERTS", str(rules)), "utf-8")
    promtool("test", "rules", str(with_path))


def test_the_dashboard_is_that_of_the_tables() -> None:
    assert dashboard.PAGE.read_text("utf-8") == dashboard.page(), "run `python -m docs.dashboard`"


def test_the_dashboard_shows_every_metric_and_none_that_does_not_exist(tmp_path: Path) -> None:
    document = json.loads(dashboard.PAGE.read_text("utf-8"))
    panels = [panel for panel in document["panels"] if panel["type"] != "row"]
    expressions = [target["expr"] for panel in panels for target in panel["targets"]]
    used = {name for each in expressions for name in _METRIC.findall(each)}
    assert used <= SERIES
    assert all(any(name in used for name in metric.series) for metric in METRICS)
    # Prometheus itself reads every expression, as rules in place of the dashboard.
    rules = [
        {"record": f"panel:{number}", "expr": _without_variables(each)}
        for number, each in enumerate(expressions)
    ]
    path = tmp_path / "rules.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}), "utf-8")
    promtool("check", "rules", str(path))


def _without_variables(expression: str) -> str:
    return expression.replace("$__rate_interval", "5m").replace("$instance", ".*")


def test_panels_lie_beside_one_another_and_not_over() -> None:
    document = dashboard.dashboard()
    ids = [panel["id"] for panel in document["panels"]]
    assert len(set(ids)) == len(ids)
    taken: set[tuple[int, int]] = set()
    for panel in document["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {
            (place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])
        }
        assert not taken & cells, panel["title"]
        taken |= cells


# systemd, logrotate


@pytest.mark.parametrize(
    "names",
    [("lianmu.service",), ("lianmu-backup.service", "lianmu-backup.timer")],
)
def test_systemd_takes_the_units(tmp_path: Path, names: tuple[str, ...]) -> None:
    for name in names:
        text = (OPERATIONS / name).read_text("utf-8")
        assert PROGRAM in text or name.endswith(".timer")
        (tmp_path / name).write_text(text.replace(PROGRAM, "/bin/true"), "utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", *(str(tmp_path / name) for name in names)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_unit_is_closed_but_for_what_it_needs() -> None:
    text = (OPERATIONS / "lianmu.service").read_text("utf-8")
    for line in (
        "NoNewPrivileges=true", "ProtectSystem=strict", "User=lianmu", "CapabilityBoundingSet=",
        "KillMode=mixed", "SystemCallFilter=@system-service",
    ):  # fmt: skip
        assert f"\n{line}\n" in text
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=25",
         str(OPERATIONS / "lianmu.service")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr  # exposure of at most 2.5 of 10


def test_logrotate_takes_its_file() -> None:
    done = subprocess.run(
        ["/usr/sbin/logrotate", "--debug", str(OPERATIONS / "logrotate.conf")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "error" not in done.stderr.lower()


def test_the_example_configuration_suits_the_unit(tmp_path: Path) -> None:
    """As installation.md says: the example, with the data folder of the unit."""
    text = (DOCS.parent / "config.example.toml").read_text("utf-8")
    path = tmp_path / "config.toml"
    data_dir = 'data_dir = "/var/lib/lianmu/data"'
    path.write_text(text.replace('data_dir = "data"', data_dir), "utf-8")
    assert load_config(path).data_dir == Path("/var/lib/lianmu/data")
    assert data_dir in (OPERATIONS / "installation.md").read_text("utf-8")
