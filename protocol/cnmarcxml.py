"""CNMARC in XML as Alma serves it to Chinese libraries, and its UNIMARC twin.

Both are MARCXML under another namespace, and the leader is the record's own:
these forms are for UNIMARC and CNMARC alone, so nothing is bent to MARC 21. No
schema is published for the first; that of the second, the slim UNIMARC of the
National Central Library in Florence, is not what servers send under its name.

Source: SRU responses of Alma, recordSchema cnmarcxml and unimarcxml.
"""

from __future__ import annotations

from protocol.marcxml import plain_leader, record_content

CNMARCXML_NAMESPACE = "http://www.nlc.cn/"
UNIMARCXML_NAMESPACE = "info:srw/schema/8/unimarcxml-v0.1"


def to_cnmarcxml(marc: bytes) -> str:
    """A stored record as one `record` element in the namespace of CNMARC.

    Raises:
        MalformedRecord: the octets are not in the stored form.
    """
    return _record(marc, CNMARCXML_NAMESPACE)


def to_unimarcxml(marc: bytes) -> str:
    """A stored record as one `record` element in the namespace of UNIMARC.

    Raises:
        MalformedRecord: the octets are not in the stored form.
    """
    return _record(marc, UNIMARCXML_NAMESPACE)


def _record(marc: bytes, namespace: str) -> str:
    return f'<record xmlns="{namespace}">{record_content(marc, plain_leader(marc))}</record>'
