"""The configuration file is checked whole and its mistakes are named."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import msgspec
import pytest

from server.config import Config, ConfigError, load_config

EXAMPLE = Path(__file__).resolve().parents[2] / "config.example.toml"


def test_the_example_holds_every_key_with_its_default() -> None:
    document = tomllib.loads(EXAMPLE.read_text(encoding="utf-8"))
    defaults = msgspec.to_builtins(Config())
    assert set(document) == set(defaults)
    for section, values in defaults.items():
        expected = msgspec.json.decode(msgspec.json.encode(values))
        assert document[section] == expected, section


def test_the_example_says_what_each_key_is() -> None:
    general, _, databases = EXAMPLE.read_text(encoding="utf-8").partition("[[database]]")
    told = general[general.index("# The databases.") :]
    for line in general.splitlines():
        if re.match(r"[a-z_]+ = ", line):
            assert "#" in line, line
    for key in set(re.findall(r"^([a-z_]+) = ", databases, re.MULTILINE)):
        assert f"`{key}`" in told, key


def test_a_relative_data_dir_is_taken_from_the_files_folder(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text('[server]\ndata_dir = "here"\n')
    assert load_config(path).data_dir == tmp_path.resolve() / "here"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[z3950]\nport = "x"', "Expected `int`, got `str` - at `$.z3950.port`"),
        ("[z3950]\nport = 70000", "Expected `int` <= 65535 - at `$.z3950.port`"),
        ("[z3950]\nprot = 1", "unknown field `prot` - at `$.z3950`"),
        ("[metering]\nrepeat_window_s = -1", "$.metering.repeat_window_s"),
        ("[z3950\n", "not TOML"),
        (
            '[[database]]\nname="a"\ntitle="A"\nfamily="marc21"\n'
            '[[database]]\nname="A"\ntitle="B"\nfamily="marc21"',
            "`A` is there twice - at `$.database[1]`",
        ),
        ('[[database]]\nname="all"\ntitle="A"\nfamily="marc21"', "`all` is reserved"),
        ('[[database]]\nname="a"\ntitle="A"\nfamily="marc"', "Invalid enum value 'marc'"),
        ("database = []", "at least one [[database]]"),
        ("[sru]\nmaximum_records_default = 200", "$.sru.maximum_records_default"),
    ],
)
def test_a_mistake_names_file_and_path(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "config.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert str(caught.value).startswith(str(path))
    assert message in str(caught.value)
