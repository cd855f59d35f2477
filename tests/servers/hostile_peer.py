"""Peers that break the rules of DICOM as they are told: a provider of C-FIND, C-MOVE, C-GET, and a sender."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import TracebackType
from typing import Self, TypeAlias

from pydicom.uid import CTImageStorage, MRImageStorage

from demo.pacs import Address
from demo.server import HOST, free_port
from servers import hostile_pdus as pdus
from servers.hostile_messages import Response, Store
from servers.hostile_pdus import PLAIN, AssociationRequest, Command, Context, Identity
from servers.hostile_wire import Connection, Counter, Fault, Gone

#: What is said to a request: in order, responses, images, and PDUs that are sent as they are.
Said: TypeAlias = Iterable[Response | Store | bytes]
Answers: TypeAlias = Callable[[Command], Said]

#: SOP classes of the images that are sent.
SERVICES = (CTImageStorage.encode(), MRImageStorage.encode())

#: Services whose data sets go in implicit VR; images go in explicit VR.
_QUERIES = b"1.2.840.10008.5.1.4.1.2."


class Sender:
    """A C-STORE user with one association.

    Parameters
    ----------
    port : int
        On this host.
    services : collection of bytes
        SOP classes that it proposes, each in explicit VR little endian.
    identity : Identity
    fault : Fault, optional
    counter : Counter, optional
        Another's, where its PDUs count as well.
    syntax : bytes
        The transfer syntax that it proposes.
    """

    def __init__(
        self,
        port: int,
        services: Iterable[bytes],
        identity: Identity = PLAIN,
        fault: Fault | None = None,
        counter: Counter | None = None,
        syntax: bytes = pdus.EXPLICIT_LITTLE,
    ) -> None:
        self._numbers = {service: 2 * place + 1 for place, service in enumerate(dict.fromkeys(services))}
        self._contexts = tuple(Context(number, uid, (syntax,)) for uid, number in self._numbers.items())
        self._identity = identity
        self._messages = 0
        self._ending = threading.Event()
        self.counter = counter or Counter()
        made = socket.create_connection((HOST, port), 10.0)
        made.settimeout(10.0)
        self.connection = Connection(made, self.counter, fault, self._ending)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        self.connection.close()

    def associate(self) -> None:
        """Ask for an association.

        Raises
        ------
        Gone
            When it is refused, too.
        """
        self.connection.send(pdus.association_request(self._contexts, self._identity))
        if self.connection.read_pdu()[0] != pdus.Pdu.ASSOCIATE_AC:
            raise Gone

    def store(self, image: Store) -> int:
        """Send an image; the status that comes back.

        Raises
        ------
        Gone
        """
        self._messages += 1
        context = self._numbers.get(image.sop_class, 1)
        self.connection.send(*image.pdus(context, self._messages), pause=image.pause)
        return self.connection.read_command().number(pdus.STATUS)

    def release(self) -> None:
        """End the association as it should be.

        Raises
        ------
        Gone
        """
        self.connection.send(pdus.pdu(pdus.Pdu.RELEASE_RQ))
        self.connection.read_pdu()


class HostileProvider:
    """Answers C-FIND, C-MOVE and C-GET on a free loopback port as it is told to.

    Parameters
    ----------
    find, retrieve : callable
        From a request to what is said to it.
    identity : Identity
        How it calls itself.
    fault : Fault, optional
        What it does at one PDU.

    Attributes
    ----------
    counter : Counter
        Of the PDUs that it sent.
    asked : list of Command
        All requests.
    """

    aet = "CHRISLOCAL"
    aec = "HOSTILE"

    def __init__(
        self,
        find: Answers,
        retrieve: Answers = lambda _: (),
        identity: Identity = PLAIN,
        fault: Fault | None = None,
    ) -> None:
        self._find, self._retrieve = find, retrieve
        self._identity = identity
        self._fault = fault
        self._ending = threading.Event()
        self._threads: list[threading.Thread] = []
        self.counter = Counter()
        self.asked: list[Command] = []
        self.receive_port = free_port()

    @property
    def node(self) -> Address:
        return Address(self.aet, self.aec, HOST, self.port)

    def __enter__(self) -> Self:
        self._socket = socket.create_server((HOST, 0))
        self.port = int(self._socket.getsockname()[1])
        self._run(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        # shutdown() wakes the thread in accept(); close() alone would leave it there.
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for thread in self._threads:
            thread.join(5)

    def _run(self, work: Callable[..., None], *arguments: object) -> None:
        self._threads.append(threading.Thread(target=work, args=arguments, daemon=True))
        self._threads[-1].start()

    def _accept(self) -> None:
        while True:
            try:
                made, _ = self._socket.accept()
            except OSError:
                return
            self._run(self._serve, made)

    def _serve(self, made: socket.socket) -> None:
        made.settimeout(30.0)
        connection = Connection(made, self.counter, self._fault, self._ending)
        try:
            kind, body = connection.read_pdu()
            if kind != pdus.Pdu.ASSOCIATE_RQ:
                return
            request = _preferred(pdus.request_of(body))
            connection.send(pdus.association_accepted(request, self._identity))
            while True:
                asked = connection.read_command()
                self.asked.append(asked)
                self._answer(connection, request, asked)
        except (Gone, OSError):
            pass
        finally:
            connection.close()

    def _answer(self, connection: Connection, request: AssociationRequest, asked: Command) -> None:
        kind = asked.number(pdus.FIELD)
        said = (self._find if kind == pdus.C_FIND else self._retrieve)(asked)
        with self._images(connection, request, kind) as store:
            for one in said:
                if isinstance(one, Store):
                    store(one)
                else:
                    connection.send(*([one] if isinstance(one, bytes) else one.pdus(asked)))

    @contextmanager
    def _images(
        self, connection: Connection, request: AssociationRequest, kind: int
    ) -> Iterator[Callable[[Store], object]]:
        """What sends an image: over the same association, or over another to who receives."""

        def store(image: Store) -> None:
            connection.send(*image.pdus(request.number_of(image.sop_class), 1), pause=image.pause)
            connection.read_command()

        if kind != pdus.C_MOVE:
            yield store
            return
        with Sender(self.receive_port, SERVICES, PLAIN, self._fault, self.counter) as sender:
            sender.associate()
            yield sender.store
            sender.release()


def _preferred(request: AssociationRequest) -> AssociationRequest:
    """The same, of each context only the transfer syntax that is taken."""
    return replace(
        request,
        contexts=tuple(
            replace(
                one,
                syntaxes=(
                    pdus.IMPLICIT_LITTLE if one.service.startswith(_QUERIES) else pdus.EXPLICIT_LITTLE,
                ),
            )
            for one in request.contexts
        ),
    )
