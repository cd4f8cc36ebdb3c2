"""Which character sets and language a session uses (Z39.50-2003 §3.10, format 15.3)."""

from __future__ import annotations

from dataclasses import dataclass

from protocol import apdu, oid, user_information
from protocol.charset import OUTPUT_ENCODINGS, UnknownEncoding, canonical_encoding
from protocol.charset_negotiation import (
    Iso10646,
    NoCharset,
    OriginProposal,
    PrivateCharacterSet,
    ProposedCharset,
    SelectedCharset,
    TargetResponse,
    proposal_of,
    response_external,
)

UTF_8 = "utf-8"
LATIN_1 = "iso-8859-1"  # read in terms, never written
# Diagnostics are in English, whatever a reader of them would like better.
LANGUAGES = ("eng", "en")
_LATIN_1_NAMES = frozenset({"iso-8859-1", "iso8859-1", "latin1", "latin-1"})


@dataclass(frozen=True, slots=True)
class Charsets:
    """Terms are tried in each of `terms`; MARC and text records are in `records`."""

    terms: tuple[str, ...] = (UTF_8,)
    records: str = UTF_8

    @property
    def names(self) -> str:
        """The set of terms that we write, as in Scan."""
        return self.terms[0]


# Before Init, and where nothing is configured.
UNSETTLED = Charsets()


@dataclass(frozen=True, slots=True)
class CharsetAnswer:
    """What was settled; `response` is for the Init response, None without a proposal."""

    charsets: Charsets
    response: TargetResponse | None = None


def settle(
    request: apdu.InitializeRequest, pinned: str, unnegotiated: tuple[str, ...]
) -> CharsetAnswer:
    """Answer a proposal of character sets and languages.

    Without one that we can select, the set that the account is `pinned` to
    holds for terms and records, or terms are tried in `unnegotiated`.
    """
    usual = Charsets((pinned,), pinned) if pinned else Charsets(unnegotiated)
    proposal = proposal_of(request)
    if proposal is None:
        return CharsetAnswer(usual)
    charsets, selected = usual, None
    if proposal.proposed_charsets:
        charsets, selected = _select(proposal, usual)
    in_records = proposal.records_in_selected_charsets
    if in_records is not None:
        in_records = (
            in_records
            and selected is not NoCharset.NONE
            and selected is not None
            and charsets.records == charsets.names
        )
    language = next(
        (each for each in proposal.proposed_languages if each.lower() in LANGUAGES), None
    )
    return CharsetAnswer(
        charsets,
        TargetResponse(
            selected_charset=selected,
            selected_language=language,
            records_in_selected_charsets=in_records,
        ),
    )


def _select(proposal: OriginProposal, usual: Charsets) -> tuple[Charsets, SelectedCharset]:
    """The first set of the proposal that we know; terms are then in no other."""
    for proposed in proposal.proposed_charsets:
        name = _name_of(proposed)
        if name:
            records = usual.records
            if proposal.records_in_selected_charsets and name in OUTPUT_ENCODINGS:
                records = name
            return Charsets((name,), records), proposed
    return usual, NoCharset.NONE


def _name_of(proposed: ProposedCharset) -> str:
    """Our name of a proposed set; "" when it is not ours."""
    if isinstance(proposed, Iso10646):
        return UTF_8 if proposed.encoding_level == oid.UTF_8 else ""
    if not isinstance(proposed, PrivateCharacterSet):
        return ""  # ISO 2022: no client is known that proposes it
    value = proposed.value
    if not isinstance(value, apdu.External):
        return ""
    # YAZ, and who follows it, names a set in the octets of an EXTERNAL of its own.
    name = value.data.decode("ascii", "replace").strip().lower()
    if name in _LATIN_1_NAMES:
        return LATIN_1
    try:
        return canonical_encoding(name)
    except UnknownEncoding:
        return ""


def place_answer(
    request: apdu.InitializeRequest, response: TargetResponse
) -> tuple[apdu.External | None, apdu.OtherInformation]:
    """`response` as (user information, other information): where the proposal was."""
    external = response_external(response)
    item = user_information.other_information(external)
    if any(_is_negotiation(each.information) for each in request.other_info):
        return None, (item,)
    return apdu.External.of(oid.USER_INFO_1, user_information.USER_INFO_1, (item,)), ()


def _is_negotiation(information: apdu.Information) -> bool:
    return (
        isinstance(information, apdu.External)
        and information.direct_reference == oid.CHARSET_NEGOTIATION_3
    )
