"""Changes of what a member may reach, from where and how often, each with its audit row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from store.access_rules import AccessRules, AddressRange, read_network, read_ranges
from store.audit import UNKNOWN, Origin
from store.members import Account, Institution, MemberError, Members


class AccessChanges:
    """On the writing side of `Members`. `who` does it, `reason` is why; both are kept.

    Everything holds for the next request, in every worker.
    """

    def __init__(self, members: Members, origin: Origin = UNKNOWN) -> None:
        self._members = members
        self._origin = origin
        self._connection = members.connection

    def set_databases(
        self,
        code: str,
        now_us: int,
        *,
        search_in: Iterable[str] | None,
        download_from: Iterable[str] | None,
        account: str = "",
        who: str,
        reason: str,
    ) -> AccessRules:
        """Grant databases, by their names, to an institution or to one `account` of it.

        None grants all. Nothing is downloaded from a database that is not searched,
        whatever `download_from` says.

        Raises:
            MemberError: no such institution or account, or no reason.
        """
        _need(reason)
        searched = None if search_in is None else sorted(set(search_in))
        taken = None if download_from is None else sorted(set(download_from))
        with self._members.transaction():
            institution, holder = self._holder(code, account)
            before = holder.access
            self._update(
                institution, account, "search_in = ?, download_from = ?",
                (_column(searched), _column(taken)),
            )  # fmt: skip
            after = AccessRules(_frozen(searched), _frozen(taken))
            self._write(
                "databases", institution, now_us, who, reason, account, _told(before), _told(after)
            )
        return self._holder(code, account)[1].access

    def set_sessions_max(
        self,
        code: str,
        sessions_max: int | None,
        now_us: int,
        *,
        account: str = "",
        who: str,
        reason: str,
    ) -> AccessRules:
        """Bound the sessions at a time; None: as the configuration says.

        Raises:
            MemberError: no such institution or account, no reason, or less than 1.
        """
        _need(reason)
        if sessions_max is not None and sessions_max < 1:
            raise MemberError("at least one session must be allowed; suspend the member to end all")
        with self._members.transaction():
            institution, holder = self._holder(code, account)
            self._update(institution, account, "sessions_max = ?", (sessions_max,))
            self._write(
                "sessions", institution, now_us, who, reason, account,
                _number(holder.access.sessions_max), _number(sessions_max),
            )  # fmt: skip
        return self._holder(code, account)[1].access

    def restrict_addresses(
        self, code: str, only: bool, now_us: int, *, who: str, reason: str
    ) -> AccessRules:
        """Say whether accounts and keys may come from the institution's ranges alone.

        Raises:
            MemberError: no such institution, no reason, or it has no range yet.
        """
        _need(reason)
        with self._members.transaction():
            institution, _ = self._holder(code, "")
            if only and not self.ranges(code):
                raise MemberError(f"{institution.code} has no address range: nobody could come in")
            self._update(institution, "", "addresses_only = ?", (int(only),))
            self._write(
                "addresses", institution, now_us, who, reason, "",
                _only(institution.access.addresses_only), _only(only),
            )  # fmt: skip
        return self._holder(code, "")[1].access

    def add_range(
        self, code: str, network: str, now_us: int, *, account: str = "", who: str, reason: str = ""
    ) -> AddressRange:
        """Give an institution a range of addresses, in CIDR form.

        With `account`, one of the institution's, who comes from there without a
        login is that account. Ranges of one institution may lie in one another.

        Raises:
            MemberError: no such institution or account, no range of addresses, or it
                has addresses of a range of another institution.
        """
        try:
            wanted = read_network(network)
        except ValueError as error:
            raise MemberError(str(error)) from None
        with self._members.transaction():
            institution, holder = self._holder(code, account)
            for other in read_ranges(self._connection):
                theirs = read_network(other.network)
                if theirs.version != wanted.version or not theirs.overlaps(wanted):
                    continue
                if other.institution != institution.code:
                    raise MemberError(
                        f"{wanted} overlaps {theirs}, which is of {other.institution}"
                    )
                if theirs == wanted:
                    raise MemberError(f"{institution.code} has {wanted} already; remove it first")
            name = holder.name if isinstance(holder, Account) else None
            self._connection.execute(
                "INSERT INTO address_range (institution, network, account, added_us)"
                " VALUES (?, ?, ?, ?)",
                (institution.code, str(wanted), name, now_us),
            )
            added = AddressRange(institution.code, str(wanted), name or "")
            self._write(
                "address add", institution, now_us, who, reason, str(wanted), "", _as(added)
            )
        return added

    def remove_range(
        self, code: str, network: str, now_us: int, *, who: str, reason: str
    ) -> AddressRange:
        """Take a range away; sessions that came in by it end at their next request.

        Raises:
            MemberError: no such institution or range, no reason, or it is the last
                range of an institution that may only come from its ranges.
        """
        _need(reason)
        try:
            wanted = str(read_network(network))
        except ValueError as error:
            raise MemberError(str(error)) from None
        with self._members.transaction():
            institution, _ = self._holder(code, "")
            ranges = self.ranges(code)
            removed = next((each for each in ranges if each.network == wanted), None)
            if removed is None:
                raise MemberError(f"{institution.code} has no address range {wanted}")
            if len(ranges) == 1 and institution.access.addresses_only:
                raise MemberError(
                    f"{institution.code} may only come from its ranges, and this is the last;"
                    " lift the restriction first"
                )
            self._connection.execute(
                "DELETE FROM address_range WHERE institution = ? AND network = ?",
                (institution.code, wanted),
            )
            self._write(
                "address remove", institution, now_us, who, reason, wanted, _as(removed), ""
            )
        return removed

    def ranges(self, code: str) -> list[AddressRange]:
        """The ranges of an institution, in the order they were added."""
        return read_ranges(self._connection, code)

    def _holder(self, code: str, account: str) -> tuple[Institution, Institution | Account]:
        """The institution, and it or its account as who has the rules."""
        institution = self._members.institution(code)
        if institution is None:
            raise MemberError(f"there is no institution {code}")
        if not account:
            return institution, institution
        found = self._members.account(account)
        of = found.institution if found is not None else None
        if found is None or of is None or of.code != institution.code:
            raise MemberError(f"{institution.code} has no account {account}")
        return institution, found

    def _update(
        self, institution: Institution, account: str, columns: str, values: Sequence[object]
    ) -> None:
        table, key = ("account", account) if account else ("institution", institution.code)
        name = "name" if account else "code"
        self._connection.execute(
            f"UPDATE {table} SET {columns} WHERE {name} = ?",
            (*values, key),
        )

    def _write(
        self,
        step: str,
        institution: Institution,
        now_us: int,
        who: str,
        reason: str,
        subject: str,
        before: str,
        after: str,
    ) -> None:
        self._origin.write(
            self._connection, step, institution.code, now_us, who=who, reason=reason,
            subject=subject, before=before, after=after,
        )  # fmt: skip


def _need(reason: str) -> None:
    if not reason.strip():
        raise MemberError("a reason is needed")


def _column(names: Sequence[str] | None) -> str | None:
    return None if names is None else " ".join(names)


def _frozen(names: Sequence[str] | None) -> frozenset[str] | None:
    return None if names is None else frozenset(names)


def _told(rules: AccessRules) -> str:
    return f"search {_listed(rules.search_in)}; download {_listed(rules.download_from)}"


def _listed(names: frozenset[str] | None) -> str:
    return "all" if names is None else " ".join(sorted(names)) or "none"


def _number(sessions_max: int | None) -> str:
    return "default" if sessions_max is None else str(sessions_max)


def _only(only: bool) -> str:
    return "from its ranges alone" if only else "from anywhere"


def _as(each: AddressRange) -> str:
    return f"signs in as {each.account}" if each.account else "no sign-in"
