"""Who may open an association here."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from dataclasses import dataclass

from pypx.dicom.association import AssociationRequest, Refusal
from pypx.dicom.node import check_ae_title
from pypx.errors import HostUnknown


@dataclass(frozen=True, slots=True)
class Peer:
    """A node that may send here.

    Parameters
    ----------
    ae_title : str
    addresses : frozenset of str
        From which it may call; from anywhere where there is none.
    """

    ae_title: str
    addresses: frozenset[str] = frozenset()


def parse_peer(text: str) -> Peer:
    """Read ``AET`` or ``AET@host``, the host looked up once.

    Raises
    ------
    InvalidValue
        When it is not an AE title.
    HostUnknown
        When the host has no address.
    """
    title, _, host = text.partition("@")
    check_ae_title(title, "--allow")
    return Peer(title.strip(), frozenset(_addresses(host)) if host else frozenset())


def _addresses(host: str) -> Iterable[str]:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise HostUnknown(
            f"The host {host!r} of --allow does not resolve", "Correct --allow AET@host."
        ) from error
    return {plain_address(str(address[0])) for *_, address in found}


def plain_address(text: str) -> str:
    """An address without a zone, and an IPv4 address that came in through IPv6 as IPv4.

    >>> plain_address("::ffff:192.0.2.7")
    '192.0.2.7'
    """
    address = ipaddress.ip_address(text.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


@dataclass(frozen=True, slots=True)
class Admission:
    """The rules.

    Parameters
    ----------
    ae_title : str
        Ours.
    strict : bool
        Refuse peers that call another AE title than ours.
    allowed : tuple of Peer
        All others are refused; where it is empty nobody is.
    min_free : int
        Bytes that must be free where the images go.
    most_associations : int
        At a time.
    """

    ae_title: str
    strict: bool = False
    allowed: tuple[Peer, ...] = ()
    min_free: int = 0
    most_associations: int = 64

    def refuse(self, request: AssociationRequest, address: str, free: int, running: int) -> Refusal | None:
        """Why an association is refused; None where it is welcome.

        Parameters
        ----------
        request : AssociationRequest
        address : str
            The peer's, as of :func:`plain_address`.
        free : int
            Bytes free where the images go.
        running : int
            Associations that are open.
        """
        if self.strict and request.called_ae_title != self.ae_title:
            return Refusal.CALLED_TITLE
        if self.allowed and not any(self._is(peer, request, address) for peer in self.allowed):
            return Refusal.CALLING_TITLE
        if running >= self.most_associations:
            return Refusal.CONGESTION
        if free < self.min_free:
            return Refusal.NO_SPACE
        return None

    @staticmethod
    def _is(peer: Peer, request: AssociationRequest, address: str) -> bool:
        called_by = request.calling_ae_title == peer.ae_title
        return called_by and (not peer.addresses or address in peer.addresses)
