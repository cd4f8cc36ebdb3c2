"""Negotiation of character set and language, format 1.2.840.10003.15.3.

A client puts its proposal in userInformationField of Init or in otherInfo;
`proposal_of` finds both, and the response goes where the proposal was.
"""

from __future__ import annotations

from enum import Enum

from protocol import oid
from protocol.apdu_retrieval import InitializeRequest
from protocol.asn1 import (
    BOOLEAN,
    INTEGER,
    NULL,
    OID,
    STRING,
    Asn1Type,
    Choice,
    Sequence,
    SequenceOf,
    Wrapped,
    choice,
    component,
    sequence,
)
from protocol.ber import ProtocolError
from protocol.codec import Codec
from protocol.external import EXTERNAL, External
from protocol.frozen import frozen
from protocol.oid import Oid
from protocol.user_information import init_information


class Environment(Enum):
    SEVEN_BIT = "sevenBit"
    EIGHT_BIT = "eightBit"


ENVIRONMENT = choice(
    "Environment", (1, NULL, Environment.SEVEN_BIT), (2, NULL, Environment.EIGHT_BIT)
)


@sequence
class InitialSet:
    """Registration numbers of ISO 2022 sets; `g0` or `g1` must be there."""

    g0: int | None = component(0, INTEGER, default=None)
    g1: int | None = component(1, INTEGER, default=None)
    g2: int | None = component(2, INTEGER, default=None)
    g3: int | None = component(3, INTEGER, default=None)
    c0: int = component(4, INTEGER)
    c1: int | None = component(5, INTEGER, default=None)


@sequence
class LeftAndRight:
    g_left: int = component(3, INTEGER)
    g_right: int | None = component(4, INTEGER, default=None)


@sequence
class Iso2022Proposal:
    proposed_environment: Environment | None = component(0, ENVIRONMENT, default=None)
    proposed_sets: tuple[int, ...] = component(1, SequenceOf(INTEGER))
    proposed_initial_sets: tuple[InitialSet, ...] = component(2, SequenceOf(Sequence(InitialSet)))
    proposed_left_and_right: LeftAndRight = component(3, Sequence(LeftAndRight))


@sequence
class Iso2022Response:
    selected_environment: Environment = component(0, ENVIRONMENT)
    selected_sets: tuple[int, ...] = component(1, SequenceOf(INTEGER))
    selected_initial_set: InitialSet = component(2, Sequence(InitialSet))
    selected_left_and_right: LeftAndRight = component(3, Sequence(LeftAndRight))


Iso2022 = Iso2022Proposal | Iso2022Response
ISO_2022: Choice[Iso2022] = choice(
    "Iso2022", (1, Sequence(Iso2022Proposal)), (2, Sequence(Iso2022Response))
)


@sequence
class Iso10646:
    """`encoding_level` is the form of transfer, `oid.UTF_8` for one."""

    collections: Oid | None = component(1, OID, default=None)
    encoding_level: Oid = component(2, OID)


class PreviouslyAgreed(Enum):
    PREVIOUSLY_AGREED_UPON = "previouslyAgreedUpon"


@frozen
class PrivateCharacterSet:
    """`value` is object identifiers, an EXTERNAL, or an earlier agreement."""

    value: tuple[Oid, ...] | External | PreviouslyAgreed


PRIVATE_CHARACTER_SET: Asn1Type[PrivateCharacterSet] = Wrapped(
    PrivateCharacterSet,
    choice(
        "PrivateCharacterSet",
        (1, SequenceOf(OID)),
        (2, EXTERNAL),
        (3, NULL, PreviouslyAgreed.PREVIOUSLY_AGREED_UPON),
    ),
)


class NoCharset(Enum):
    """Nothing is negotiated: each side goes on as it would without."""

    NONE = "none"


ProposedCharset = Iso2022 | Iso10646 | PrivateCharacterSet
SelectedCharset = Iso2022 | Iso10646 | PrivateCharacterSet | NoCharset
_PROPOSED: Choice[ProposedCharset] = choice(
    "proposedCharSets", (1, ISO_2022), (2, Sequence(Iso10646)), (3, PRIVATE_CHARACTER_SET)
)
_SELECTED: Choice[SelectedCharset] = choice(
    "selectedCharSets",
    (1, ISO_2022),
    (2, Sequence(Iso10646)),
    (3, PRIVATE_CHARACTER_SET),
    (4, NULL, NoCharset.NONE),
)


@sequence
class OriginProposal:
    """What the client proposes, the best first; languages are Z39.53 codes."""

    proposed_charsets: tuple[ProposedCharset, ...] = component(1, SequenceOf(_PROPOSED), default=())
    proposed_languages: tuple[str, ...] = component(2, SequenceOf(STRING), default=())
    records_in_selected_charsets: bool | None = component(3, BOOLEAN, default=None)


@sequence
class TargetResponse:
    """What the server selects.

    `selected_charset` and `records_in_selected_charsets` are None exactly when
    the proposal left them out.
    """

    selected_charset: SelectedCharset | None = component(1, _SELECTED, default=None)
    selected_language: str | None = component(2, STRING, default=None)
    records_in_selected_charsets: bool | None = component(3, BOOLEAN, default=None)


CharsetNegotiation = OriginProposal | TargetResponse
CHARSET_NEGOTIATION: Codec[CharsetNegotiation] = Codec(
    choice(
        "CharSetandLanguageNegotiation",
        (1, Sequence(OriginProposal)),
        (2, Sequence(TargetResponse)),
    ),
    "CharSetandLanguageNegotiation",
)


def proposal_of(request: InitializeRequest) -> OriginProposal | None:
    """The client's proposal for character sets and languages; None when there is none.

    One that cannot be read counts as none: negotiation is optional, and the
    association works without it.
    """
    external = init_information(request, oid.CHARSET_NEGOTIATION_3)
    if external is not None:
        try:
            record = external.decode(CHARSET_NEGOTIATION)
        except ProtocolError:
            return None
        if isinstance(record, OriginProposal):
            return record
    return None


def response_external(response: TargetResponse) -> External:
    """For the otherInfo of an InitializeResponse, as `other_information` of it."""
    return External.of(oid.CHARSET_NEGOTIATION_3, CHARSET_NEGOTIATION, response)
