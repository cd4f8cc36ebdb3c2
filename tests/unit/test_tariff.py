"""Tariffs by date of effect: the built-in one, and an operator's own."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from metering.tariff import (
    BUILT_IN,
    ITEMS,
    NO_TARIFF,
    TariffError,
    load_tariffs,
    read_tariff,
    tariff_at,
    tariff_of_year,
)
from server.config import ConfigError, load_config

# Every row of the agreement.
AGREEMENT_FEN = {
    "download.over_quota": 100,
    "batch.delivery": 150,
    "holdings.processing": 0,
    "software.client": 0,
    "software.widget": 0,
    "member.annual_fee": 0,
    "upload.chinese.full": 400,
    "upload.western.full": 400,
    "upload.japanese.full": 400,
    "upload.russian.full": 300,
    "upload.other.full": 300,
    "upload.ancient.full": 700,
    "upload.chinese.basic": 0,
    "upload.western.basic": 0,
    "upload.japanese.basic": 0,
    "upload.russian.basic": 300,
    "upload.other.basic": 300,
    "upload.ancient.basic": 400,
    "upload.ancient.without_holdings": 0,
    "cover.other": 100,
    "cover.ancient": 300,
}
# 2024-12-31T16:00:00Z, the first moment of 2025 in Shanghai
NEW_YEAR_2025_US = 1_735_660_800_000_000


def document(version: str, effective: str, **changes: int) -> str:
    prices = AGREEMENT_FEN | {name.replace("__", "."): fen for name, fen in changes.items()}
    lines = [f'version = "{version}"', f"effective = {effective}", "[price_fen]"]
    return "\n".join([*lines, *(f'"{item}" = {fen}' for item, fen in prices.items())]) + "\n"


def shared(item: str, percent: int) -> str:
    return f'[partner]\ninstitution = "X"\npercent = {{ "{item}" = {percent} }}\n'


def test_the_built_in_tariff_has_every_row_of_the_agreement() -> None:
    (tariff,) = BUILT_IN
    assert (tariff.version, tariff.effective) == ("2023-01-01", date(2023, 1, 1))
    assert {item: tariff.price_fen(item) for item in ITEMS} == AGREEMENT_FEN


def test_the_price_of_a_japanese_record_is_shared_in_halves() -> None:
    tariff = tariff_of_year(2024)
    assert tariff.shares("upload.japanese.full") == (200, 200)
    assert tariff.is_shared("upload.japanese.full")
    assert tariff.partner == "CAU"
    assert tariff.shares("upload.chinese.full") == (400, 0)
    assert not tariff.is_shared("upload.chinese.full")


@pytest.mark.parametrize(
    ("price", "percent", "parts"),
    [
        (401, 50, (201, 200)),
        (1, 50, (1, 0)),
        (0, 50, (0, 0)),
        (100, 33, (67, 33)),
        (7, 100, (0, 7)),
    ],
)
def test_an_odd_fen_is_the_submitters(price: int, percent: int, parts: tuple[int, int]) -> None:
    text = document("x", "2025-01-01", upload__japanese__full=price)
    text += shared("upload.japanese.full", percent)
    tariff = read_tariff(text, "x.toml", ITEMS)
    assert tariff.shares("upload.japanese.full") == parts
    assert sum(parts) == price


def test_an_accounting_year_has_the_tariff_in_force_on_its_first_day(tmp_path: Path) -> None:
    (tmp_path / "b.toml").write_text(document("b", "2025-01-01", download__over_quota=120))
    (tmp_path / "a.toml").write_text(document("a", "2026-07-01", download__over_quota=130))
    (tmp_path / "notes.txt").write_text("no tariff")
    tariffs = load_tariffs(tmp_path)
    assert [tariff.version for tariff in tariffs] == ["2023-01-01", "b", "a"]
    named = {year: tariff_of_year(year, tariffs).version for year in range(2022, 2028)}
    assert named == {
        2022: "none", 2023: "2023-01-01", 2024: "2023-01-01", 2025: "b", 2026: "b", 2027: "a",
    }  # fmt: skip
    assert tariff_at(NEW_YEAR_2025_US - 1, tariffs).version == "2023-01-01"
    assert tariff_at(NEW_YEAR_2025_US, tariffs).version == "b"


def test_before_the_first_tariff_nothing_has_a_price() -> None:
    assert tariff_of_year(2022) is NO_TARIFF
    assert {NO_TARIFF.price_fen(item) for item in ITEMS} == {0}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (document("x", "2025-01-01").replace('"cover.other" = 100\n', ""), "`cover.other`"),
        (document("x", "2025-01-01", poem=1), "there is no item `poem` - at `$.price_fen`"),
        (document("x", "2025-01-01", cover__other=-1), "Expected `int` >= 0 - at `$.price_fen"),
        (document("x", "2025-01-01").replace("= 150", "= 1.5"), "got `float` - at `$.price_fen"),
        (document("x", '"soon"'), "at `$.effective`"),
        (document("x y", "2025-01-01"), "at `$.version`"),
        (document("x", "2025-01-01") + "[fees]\n", "unknown field `fees`"),
        (
            document("x", "2025-01-01") + shared("poem", 5),
            "`poem` - at `$.partner.percent`",
        ),
        (document("x", "2025-01-01") + shared("cover.other", 5), "only uploads are shared"),
        (document("x", "2025-01-01") + shared("upload.other.full", 101), "<= 100"),
        ("version = ", "not TOML"),
        (document("2023-01-01", "2025-01-01"), "there already (built in) - at `$.version`"),
        (document("x", "2023-01-01"), "takes effect on 2023-01-01 already - at `$.effective`"),
    ],
)
def test_a_mistake_in_a_tariff_names_file_path_and_reason(
    tmp_path: Path, text: str, reason: str
) -> None:
    folder = tmp_path / "tariffs"
    folder.mkdir()
    (folder / "own.toml").write_text(text)
    with pytest.raises(TariffError) as caught:
        load_tariffs(folder)
    assert str(caught.value).startswith(str(folder / "own.toml"))
    assert reason in str(caught.value)
    config = tmp_path / "config.toml"
    config.write_text('[tariff]\nfolder = "tariffs"\n')
    with pytest.raises(ConfigError, match=r"config\.toml: .*own\.toml.* - at `\$\.tariff\.folder`"):
        load_config(config)


def test_a_folder_of_tariffs_that_is_missing_is_named(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text('[tariff]\nfolder = "nowhere"\n')
    with pytest.raises(ConfigError, match=r"nowhere: no such folder - at `\$\.tariff\.folder`"):
        load_config(config)
    config.write_text('[tariff]\nwestern_languages = ["English"]\n')
    with pytest.raises(ConfigError, match=r"\$\.tariff\.western_languages\[0\]"):
        load_config(config)


def test_the_folder_of_tariffs_is_taken_from_the_files_folder(tmp_path: Path) -> None:
    (tmp_path / "prices").mkdir()
    (tmp_path / "prices" / "own.toml").write_text(document("own", "2030-01-01"))
    config = tmp_path / "config.toml"
    config.write_text('[tariff]\nfolder = "prices"\n')
    loaded = load_config(config)
    assert [tariff.version for tariff in loaded.tariffs] == ["2023-01-01", "own"]


def test_the_partner_may_have_another_code_here(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text('[tariff]\npartner = "bj0042"\n')
    assert [tariff.partner for tariff in load_config(config).tariffs] == ["BJ0042"]
