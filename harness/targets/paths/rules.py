"""The rules of target ``paths``, each with the text that settles it."""

from __future__ import annotations

from harness.findings.rule import Case, Rule
from harness.findings.severity import DENIAL, SIDE_EFFECT, STRICTNESS, WRONG_DATA, WRONG_EXCEPTION
from harness.oracles.leaks import DOS
from harness.oracles.written import WIDER

_RENAME = (
    "If newpath already exists, it will be atomically replaced, so that there is no point at which another process "
    "attempting to access newpath will find it missing."
)
_INTO = "The name of the file to write into."
_TEMPORARY = (
    "Write to a sibling tempfile then rename, so an existing `path` is never truncated under any mmap of it "
    "(e.g. tensors returned by `load_file`)."
)

READ = Rule(
    "paths.read",
    "paths",
    "differential",
    WRONG_DATA,
    title="A reader gives what no file at the path ever held",
    why="One whole file is at the path at any time. The reader takes its header from one file and its data from another, or refuses both.",
    sentence=_RENAME,
    should="the reader gives the content of one file, or the error of the system",
    cases=(Case("*refused*", STRICTNESS),),
)
OPEN = Rule(
    "lifecycle.open",
    "paths",
    "differential",
    WRONG_EXCEPTION,
    title="A path that cannot be opened raises another error than the cause",
    why="The error names another cause than the real one, so callers take the wrong way out.",
    should="the error is the one that Python's open raises",
)
OPEN_FILE = Rule(
    "lifecycle.open_file",
    "paths",
    "differential",
    WRONG_DATA,
    title="A handle of an open file reads the file that has its name by now",
    why="The caller has one file open. The handle opens its name again, and meets another file, or none, or rights that the caller lacks.",
    should="the handle reads the open file",
)
WAIT = Rule(
    "paths.wait",
    "paths",
    "hang",
    DENIAL,
    title="A call waits without end for the other end of a pipe",
    why="No other process opens the pipe, so the call never returns. It holds the lock of the interpreter meanwhile. A pipe cannot be mapped, so waiting is of no use.",
    sentence=DOS,
    should="the pipe is refused at once",
)
WRITTEN = Rule(
    "paths.written",
    "paths",
    "roundtrip",
    WRONG_DATA,
    title="A writer returns, and the file at the path has another content",
    why="The call says that the tensors are saved. The file at the path holds something else.",
    sentence=_INTO,
    should="the path holds the saved tensors",
)
LOST = Rule(
    "paths.lost",
    "paths",
    "roundtrip",
    WRONG_DATA,
    title="A writer fails, and the old file is changed or gone",
    why="The save failed with an error. The file of before is damaged or gone, so the caller has neither the old content nor the new one.",
    sentence=_TEMPORARY,
    should="a failed save leaves the old file as it was",
)
REPLACED = Rule(
    "paths.replaced",
    "paths",
    "roundtrip",
    SIDE_EFFECT,
    title="A writer puts a regular file in the place of a link, a pipe or a device",
    why="The writer renames a temporary file over the path. The link, pipe, socket or device there is gone. The file behind a link keeps its "
    "old content, and readers of a pipe get nothing. Release 0.7.0 wrote into it.",
    sentence=_INTO,
    should="the file behind the path is written, or the call is refused",
    cases=(Case("link", WRONG_DATA),),
)
PROTECTED = Rule(
    "paths.protected",
    "paths",
    "roundtrip",
    SIDE_EFFECT,
    title="A writer replaces a file that its user may not write",
    why="The user may not write the file, and release 0.7.0 refused. The writer renames another file over it. So a file that was made "
    "read-only to protect it is lost.",
    sentence=_INTO,
    should="the call is refused, and the file stays",
)
REFUSED = Rule(
    "paths.refused",
    "paths",
    "roundtrip",
    STRICTNESS,
    title="A writer refuses a file that its user may write",
    why="The user may write the file, and release 0.7.0 wrote it. The writer needs a new file beside it, with a longer name or in a folder "
    "that is closed to the user.",
    sentence=_INTO,
    should="the file is written",
)
OWNER = Rule(
    "paths.owner",
    "paths",
    "roundtrip",
    SIDE_EFFECT,
    title="A saved file belongs to another user than before",
    why="The file at the path belonged to one user. After the save it belongs to the user who saved it. Its owner may have lost all rights "
    "to it. Release 0.7.0 kept the owner.",
    sentence=_INTO,
    should="an existing file keeps its owner",
)
MODE = Rule(
    "roundtrip.mode",
    "paths",
    "roundtrip",
    SIDE_EFFECT,
    title="A written file has the mode of a temporary file",
    why="The file keeps the mode of a temporary file, which only its owner may read. The umask and the old file's mode count for nothing.",
    should="a new file has the mode of the umask, and an existing one keeps its own",
    cases=(WIDER,),
)
LEFT_OVER = Rule(
    "paths.left-over",
    "paths",
    "roundtrip",
    SIDE_EFFECT,
    title="A writer leaves a temporary file in the folder",
    why="A file that nobody asked for stays in the folder after the call.",
    should="the folder holds no other files than before",
)
