"""Every way in which pypx can fail, one class a kind.

Each class has a stable ``code`` that scripts may compare, and each error carries one sentence that says
what went wrong and where (``message``) and what to do next (``hint``). They are raised anywhere, caught at
the edge (:mod:`pypx.cli`) and shown there as one line; ``cause`` and ``cure`` are the general words that the
manual's table of errors is made from.
"""

from __future__ import annotations

from typing import ClassVar


class PypxError(Exception):
    """What all errors of pypx share.

    Parameters
    ----------
    message : str
        What failed and where, as a sentence without the final stop, or as a question.
    hint : str, optional
        What the reader can do next; the kind's ``cure`` when not given.
    """

    code: ClassVar[str] = "error"
    cause: ClassVar[str] = "Something failed."
    cure: ClassVar[str] = "Run again with --verbosity 3 to see what was asked and answered."
    exit_status: ClassVar[int] = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint or self.cure

    def __str__(self) -> str:
        return self.sentence

    @property
    def sentence(self) -> str:
        """What failed and what to do next, as a person is told; a message may be a question."""
        end = "" if self.message.endswith((".", "?", "!")) else "."
        return f"{self.message}{end} {self.hint}".rstrip()

    def to_json(self) -> dict[str, str]:
        """The ``error`` member of the suite's JSON: code, message, hint."""
        return {"code": self.code, "message": self.message, "hint": self.hint}


class UsageError(PypxError):
    """An option or argument that cannot mean anything."""

    code = "usage"
    cause = "An option or its value is not one that the tool knows."
    cure = "See the tool's --help."
    exit_status = 2


class UnknownAttribute(UsageError):
    """A keyword or tag that DICOM's dictionary does not hold (PS3.6)."""

    code = "unknown-attribute"
    cause = "A keyword or a tag is not in the DICOM dictionary."
    cure = "Use a keyword of the DICOM dictionary (PatientID) or a tag (0010,0020)."


class InvalidValue(UsageError):
    """A value that its attribute, AE title, host or port cannot hold."""

    code = "invalid-value"
    cause = "A value breaks the rules of what it is given for, such as a date with month 13."
    cure = "Correct the value."


class InvalidTemplate(UsageError):
    """A naming template with an unknown keyword or function, or one that names nothing."""

    code = "invalid-template"
    cause = "A naming template has a keyword or function that is not known."
    cure = "Correct the template; the manual's page on templates lists what may stand in it."


class InvalidInput(PypxError):
    """What came on standard input or from a file is not the JSON that the tool reads."""

    code = "invalid-input"
    cause = "The input is empty, not JSON, or JSON of something else."
    cure = "Pipe the JSON of px-find into this tool."


class BinaryMissing(PypxError):
    """A DCMTK program that is not installed, or not where it was said to be."""

    code = "binary-missing"
    cause = "DCMTK is not installed, or not on the PATH."
    cure = "Install it with: apt-get install dcmtk."


class BinaryFailed(PypxError):
    """A DCMTK program that ended in a way none of its documented ones."""

    code = "binary-failed"
    cause = "A DCMTK program crashed, was killed, or said something that is not understood."


class HostUnknown(PypxError):
    """The PACS's host name does not resolve."""

    code = "host-unknown"
    cause = "The host name of the PACS does not resolve to an address."
    cure = "Check the spelling of --serverIP and the name service of this machine."


class ConnectionRefused(PypxError):
    """Nothing listens at the PACS's host and port."""

    code = "connection-refused"
    cause = "Nothing accepts connections at the host and port of the PACS."
    cure = "Check --serverIP and --serverPort, and that the PACS is up and no firewall is between."


class ConnectionLost(PypxError):
    """The PACS closed or aborted the association before it was finished."""

    code = "connection-lost"
    cause = "The PACS went away in the middle of the work."
    cure = "Run the same command again: what is already here is not asked for twice."


class PeerTimeout(PypxError):
    """The PACS did not answer in time."""

    code = "peer-timeout"
    cause = "The PACS took the connection, or the request, and then said nothing."
    cure = "Check that the port is a DICOM port, or give it longer with --timeout."


class AssociationRejected(PypxError):
    """The PACS rejected the association (PS3.8, 9.3.4), in its own words in the message."""

    code = "association-rejected"
    cause = "The PACS does not accept an association from here."
    cure = "Ask the PACS administrator whether this AE title and this host are allowed."


class CalledTitleUnknown(AssociationRejected):
    """Rejected: called AE title not recognised."""

    code = "called-title-unknown"
    cause = "The PACS does not go by the AE title it was called by."
    cure = "Check --aec: it must be the AE title of the PACS, in its exact case."


class CallingTitleUnknown(AssociationRejected):
    """Rejected: calling AE title not recognised."""

    code = "calling-title-unknown"
    cause = "The PACS does not know our AE title."
    cure = "Check --aet, or ask the PACS administrator to add it for this host."


class ServiceNotOffered(PypxError):
    """The PACS accepted the association but not the service (no presentation context)."""

    code = "service-not-offered"
    cause = "The PACS does not offer this kind of request."
    cure = "Ask the PACS administrator whether query/retrieve is allowed for this AE title."


class RequestFailed(PypxError):
    """The PACS answered a request with a failure status (PS3.4, C.4; PS3.7, annex C)."""

    code = "request-failed"
    cause = "The PACS understood the request and could not or would not do it."
    cure = "The status says why; ask the PACS administrator to look into the PACS's log for this moment."


class ResultsCapped(RequestFailed):
    """The PACS stopped before it had sent all matches (status A700 or FE00)."""

    code = "results-capped"
    cause = "The PACS has more matches than it is willing to send."
    cure = "Narrow the query, for example with --StudyDate, and ask in several parts."


class MoveDestinationUnknown(RequestFailed):
    """C-MOVE refused: move destination unknown (status A801)."""

    code = "move-destination-unknown"
    cause = "The PACS does not know the AE title that it shall send images to."


class PortInUse(PypxError):
    """The port on which images were to be received is taken or not ours to take."""

    code = "port-in-use"
    cause = "Another program holds the port that images were to arrive on."
    cure = "Choose another --receivePort (and tell the PACS), or use --get."


class NothingFound(PypxError):
    """The study or series that was asked for by its UID is not on the PACS, or not in the catalogue."""

    code = "nothing-found"
    cause = "Nothing with this UID is there."
    cure = "Check the UID; px-find with the PatientID shows what the PACS has."


class RetrieveIncomplete(PypxError):
    """Images that the PACS has did not all arrive."""

    code = "retrieve-incomplete"
    cause = "Some of the images did not arrive."
    cure = "Run the same command again: only series that are not complete are asked for."


class StrayImages(PypxError):
    """Images with the UID of a series say that they are of another patient or study."""

    code = "stray-images"
    cause = "Images with the UID of a series say that they are of another patient or study than the others."
    cure = (
        "px-smdb --action check tells where they lie. Whose they are, a person must find out, and remove the"
        " wrong ones."
    )


class BasemountUnusable(PypxError):
    """The BASEMOUNT, or a directory in it, cannot be made, read or written."""

    code = "basemount-unusable"
    cause = "A directory of the BASEMOUNT is missing, read-only, full or belongs to somebody else."
    cure = "Check the path given with --db (or BASEMOUNT) and who may write there."


class DiskFull(BasemountUnusable):
    """No space left where the images go."""

    code = "disk-full"
    cause = "The filesystem of the BASEMOUNT has no space left."
    cure = "Make space, then run the same command again: what is done is kept."


class CatalogueLocked(PypxError):
    """Another process held the catalogue for longer than we waited."""

    code = "catalogue-locked"
    cause = "Another process writes to the catalogue and does not let go."
    cure = "Wait for it, or end it, then run the same command again."


class CatalogueDamaged(PypxError):
    """The catalogue is not a database that this release can read."""

    code = "catalogue-damaged"
    cause = "The catalogue's file is damaged, or was written by a later release."
    cure = "Move it aside and run px-repack over data/ to make it anew."


class FileUnreadable(PypxError):
    """A file that a person named cannot be read."""

    code = "file-unreadable"
    cause = "A file or directory does not exist or may not be read."
    cure = "Check the path and its permissions."


class Interrupted(PypxError):
    """Ctrl-C or SIGTERM."""

    code = "interrupted"
    cause = "The command was interrupted."
    cure = "Run the same command again: what is done is kept."
    exit_status = 130


class NotDicom(PypxError):
    """A file that is something else than DICOM (PS3.10, 7)."""

    code = "not-dicom"
    cause = "A file is not a DICOM file."
    cure = "Leave it out."


class FileDamaged(PypxError):
    """A DICOM file that is cut short or broken."""

    code = "file-damaged"
    cause = "A DICOM file is cut short, or its header cannot be read."
    cure = "Retrieve or copy it again from where it came; it is kept in quarantine/."


class MediaDirectory(NotDicom):
    """A DICOMDIR: the table of contents of a medium, not an instance (PS3.10, 8.6)."""

    code = "media-directory"
    cause = "A file is a DICOMDIR, which lists the files of a medium and holds no image."


class ServiceKeyUnknown(UsageError):
    """A key that services/*.json does not hold."""

    code = "service-key-unknown"
    cause = "A key was named that is not in the BASEMOUNT's services/."
    cure = "Use one of the known keys, or add it with px-smdb."


class ServicesUnreadable(PypxError):
    """A file of services/ that is not JSON as the suite writes it."""

    code = "services-unreadable"
    cause = "A file in the BASEMOUNT's services/ is damaged or has another form."
    cure = 'Correct it: {"<key>": {"<field>": "<value>"}}.'


class InternalError(PypxError):
    """A mistake in pypx itself."""

    code = "internal"
    cause = "pypx met something that its authors did not foresee."
    cure = "Run again with --debugToDir DIR, and report it with the .log file from there."


class ListenerNotRunning(PypxError):
    """No px-listen runs on this BASEMOUNT, or the one that does hangs."""

    code = "listener-not-running"
    cause = "px-listen is not running, or no longer does anything."
    cure = "Start it: px-listen --db LOGDIR."


class StorageUnreachable(PypxError):
    """The storage does not answer: nothing listens, its name does not resolve, it is too slow or cut off."""

    code = "storage-unreachable"
    cause = "The storage cannot be connected to, or stopped answering."
    cure = "Check its address and that it is up; then run the same command again: what is there is skipped."


class StorageRefused(PypxError):
    """The storage does not let us in, or not do this."""

    code = "storage-refused"
    cause = "Login or key of the storage are wrong, or do not allow what was asked."
    cure = "Check login and key of the service, and what the storage's administrator allows this login."


class StorageFailed(PypxError):
    """The storage answered with an error, or with something that is not understood."""

    code = "storage-failed"
    cause = "The storage has a fault of its own, or is something else than it was taken for."
    cure = "Ask the storage's administrator; then run the same command again: what is there is skipped."


class ContainerMissing(PypxError):
    """The storage has no container of this name."""

    code = "container-missing"
    cause = "The container (bucket) that objects were to go to does not exist in this account."
    cure = 'Correct the field "container" of the service, or make it; that of ChRIS is "users".'


class ObjectMissing(PypxError):
    """The storage holds no object of this name."""

    code = "object-missing"
    cause = "An object that was asked for is not in storage."
    cure = "Check the name with: pfstorage --action ls."


class ObjectExists(PypxError):
    """The storage holds another object under this name already."""

    code = "object-exists"
    cause = "There is an object of this name in storage, and it was not to be replaced."
    cure = "Remove it first, or choose another name."


class ObjectCorrupt(PypxError):
    """What the storage holds is not what it was sent, or what it sends is not what it holds."""

    code = "object-corrupt"
    cause = "The checksum of a file and that of its object in storage differ, or nothing was stored at all."
    cure = "Run the same command again; when it stays so, ask the storage's administrator."


class AnswerUnreadable(PypxError):
    """The PACS sent what is no DICOM message, or no data set."""

    code = "answer-unreadable"
    cause = "An answer of the PACS breaks the rules of DICOM, so that it cannot be read."
    cure = "Tell the PACS administrator; --verbosity 3 shows what DCMTK says of it."


class ScratchUnusable(PypxError):
    """No place for the files that a program is given and writes while it runs."""

    code = "scratch-unusable"
    cause = "The directory for temporary files is full, or cannot be written."
    cure = "Make space there, or name another directory in TMPDIR."


class OutputUnwritable(PypxError):
    """The result could not be written to standard output."""

    code = "output-unwritable"
    cause = "Standard output is closed, or the filesystem that it goes to is full."
    cure = "Check where the output goes, and run the same command again."


class CubeUnreachable(PypxError):
    """CUBE does not answer: nothing listens, its name does not resolve, it is too slow or cut off."""

    code = "cube-unreachable"
    cause = "CUBE cannot be connected to, or stopped answering."
    cure = "Check --CUBEURL and that CUBE is up; then run the same command again."


class CubeRefused(PypxError):
    """CUBE does not let us in, or not register (status 401 or 403)."""

    code = "cube-refused"
    cause = "User name or password of CUBE are wrong, or the user is not chris, who alone may register."
    cure = "Check --CUBEusername and --CUBEuserpasswd, or the key in services/cube.json."


class CubeFailed(PypxError):
    """CUBE answered with a fault of its own (status 5xx), at every attempt."""

    code = "cube-failed"
    cause = "CUBE, or a proxy before it, has a fault of its own, or too much to do."
    cure = "Ask CUBE's administrator; then run the same command again: what is registered stays."


class CubeAnswer(PypxError):
    """CUBE answered with something that is not understood."""

    code = "cube-answer"
    cause = "What answers at CUBE's URL is not the API of a CUBE, or its answers are broken on the way."
    cure = "Check --CUBEURL, and what stands between here and CUBE."


class RegistrationRejected(PypxError):
    """CUBE does not take a registration (status 400), for the reason in the message."""

    code = "registration-rejected"
    cause = "CUBE found something wrong with what was to be registered."
    cure = "The message says what; push the series again when it is about what is in storage."


class NotInStorage(PypxError):
    """What was to be registered is not in storage, or not it alone."""

    code = "not-in-storage"
    cause = "Files of a series are not in storage, or others are in its folder there."
    cure = "Push the series again with px-push, then register it."


class AttributeMissing(PypxError):
    """An image lacks an attribute without which CUBE registers nothing."""

    code = "attribute-missing"
    cause = "PatientID, StudyDate or a UID is missing in the images, or cannot be used."
    cure = "CUBE registers nothing without it; correct it where the images come from."


class CatalogueDiffers(PypxError):
    """Tree and catalogue do not agree, or there are images that belong to neither yet."""

    code = "catalogue-differs"
    cause = (
        "Files in data/ are missing, changed or not catalogued, or images wait in incoming/ or quarantine/."
    )
    cure = "Run px-smdb --action check --repair; it says what it did, and what is left to a person."


class TlsFailed(PypxError):
    """No TLS connection came about (PS3.15, annex B), for the reason in the message."""

    code = "tls-failed"
    cause = "The two sides found no version of TLS, or no cipher suite, that both take."
    cure = "Ask the PACS administrator for the TLS profile, and name it with --tlsProfile."


class TlsUntrusted(TlsFailed):
    """The peer's certificate is signed by nobody whom we trust."""

    code = "tls-untrusted"
    cause = "The certificate of the PACS is not signed by one of those in --tlsCA, or not by anybody else."
    cure = "Ask the PACS administrator for the certificate of the CA, and name its file with --tlsCA."


class TlsExpired(TlsFailed):
    """The peer's certificate is not valid at this time."""

    code = "tls-expired"
    cause = "The certificate of the PACS has expired, or is not valid yet."
    cure = "Check the clock of this machine; then tell the PACS administrator to renew the certificate."


class TlsRefused(TlsFailed):
    """The peer wants a certificate from us, or does not take the one that it was shown."""

    code = "tls-refused"
    cause = "The PACS wants a certificate of ours, or does not trust the one that it was shown."
    cure = "Give --tlsKey and --tlsCertificate, and have the PACS administrator trust who signed it."


class TlsNotSpoken(TlsFailed):
    """What listens at the port does not speak TLS."""

    code = "tls-not-spoken"
    cause = "What listens at the port of the PACS speaks no TLS."
    cure = "Check --serverPort: PACS have a port of its own for TLS (often 2762); or leave out --tls."


class TlsFilesUnusable(PypxError):
    """Private key, certificate or CA file cannot be used."""

    code = "tls-files"
    cause = "The private key, the certificate or the CA file cannot be read, or they do not fit each other."
    cure = "Check the files of --tlsKey, --tlsCertificate and --tlsCA: PEM, and of one pair."


class TooManyAnswers(PypxError):
    """The PACS sends more answers to a query than are taken."""

    code = "too-many-answers"
    cause = "The PACS sends more answers to a query, or larger ones, than fit into memory."
    cure = "Narrow the query, for example with --StudyDate, or stop it after some studies with --limit."
