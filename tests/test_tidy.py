"""The house rules that a linter cannot read: direction of imports and cimports, sizes, names, words, stray files.

Each rule looks at the tracked files (and at those not yet added) and reports every place at once, with what to do
instead. A place that breaks a rule for a good reason stands in a table here, with the reason.
"""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent

FILE_LINES_MAX = 700
FUNCTION_LINES_MAX = 60

# "path::function" → why it is longer than FUNCTION_LINES_MAX and better so.
LONG_FUNCTIONS: dict[str, str] = {}

# "path" → why it is longer than FILE_LINES_MAX and better so.
LONG_FILES: dict[str, str] = {}

# module → why nothing in the package imports it.
ENTRANCES = {
    "nacosx.storage.rocks_log": "the rival of the segmented log behind the same port, which measures slower; an extra",
    "nacosx.__main__": "python -m nacosx",
    "nacosx.cli": "the console script",
    "nacosx.engine.repeated_timer": "for the elections and heart beats of the Raft groups",
    "nacosx.engine.timer_thread": "for those of them that must not wait for the event loop",
}

TOP_LEVEL = {"pyproject.toml", "setup.py", "README.md", "nacosx", "tests", "bench", "ci"}

# Rank of each part of the package: a module imports only modules of a lower rank, or of its own part.
RANKS = {
    "__main__": 9,
    "cli": 8,
    "server": 7,
    "wire": 6,
    "api": 5,
    "engine": 4,
    "storage": 4,  # beside the engine, whose ports it implements; reached from `server` only
    "naming": 2,
    "config": 2,
    "namespaces": 2,
    "raft": 2,
    "settings": 1,
    "errors": 1,
    "clock": 1,
    "garbage": 1,
    "_core": 0,
}
# importer → parts of a lower or equal rank that it may not know, or of a higher or equal rank that it may.
ALSO_ALLOWED = {("storage", "engine.ports")}
ONLY_FROM = {"storage": {"server"}}

PURE = {"naming", "config", "namespaces", "raft"}
IMPURE = {
    *("asyncio", "uvloop", "socket", "select", "ssl", "threading", "multiprocessing", "concurrent", "subprocess"),
    *("signal", "time", "datetime", "random", "secrets", "uuid", "os", "pathlib", "logging"),
}

NAMES = (
    (re.compile(r"(Manager|Impl|Helper|Util|Utils)$"), "name what it does"),
    (re.compile(r"^(Data|Info|Proxy)$"), "name what it holds or stands for"),
)
MODULE_NAMES = re.compile(r"^(utils?|helpers?|common|misc|base|manager)$")

# what is searched (in code and comments alike), where, what to write instead
ROOMS_AND_DOORS = "nacosx/(_core|naming|config|raft|engine|storage|wire|api)/"
WORDS = (
    (r"\b(TODO|FIXME|XXX|HACK)\b", "", "do it, or file an issue and leave no mark"),
    (r"\bNotImplementedError\b", "nacosx/", "write it, or leave it out"),
    (r"^\s*except:|^\s*except (Base)?Exception\b[^\n]*:\s*(pass|continue)$", "", "name the error that is expected"),
    (r"^\s*from \S+ import \*", "", "import names"),
    (r"\bprint\(", ROOMS_AND_DOORS, "log it"),
    (r"\b(time|asyncio)\.sleep\(", "tests/", "wait for a condition with a deadline, or move the virtual clock"),
    (r"\bunittest\.mock\b|\bmonkeypatch\.setattr\b", "tests/", "a fake that implements the port"),
    (r"\bcall_later\(|\bcall_at\(", ROOMS_AND_DOORS, "engine.ticker: one wheel for every timeout"),
)
# (path, matched text) → why this one place may.
WORDS_ALLOWED: dict[tuple[str, str], str] = {
    ("nacosx/engine/ticker.py", "call_later("): "the one timer that drives the wheel",
    ("nacosx/engine/ticker.py", "call_at("): "the one timer that drives the wheel",
}

# .pxd files that declare a C library and have no code of their own.
C_LIBRARIES = {f"nacosx/_core/{name}.pxd" for name in ("atomic", "nghttp2", "pthread")}

# Hosts and folders that exist on one machine only. Written so that this file does not hold what it looks for.
PRIVATE = re.compile(
    r"(?:pypi|pythonhosted|npmjs|crates|rubygems)\.(?:org|com|io)|proxy\.golang\.|repo1?\.maven\.|maven\.org/maven2|"
    r"deb\.debian\.|registry\.(?:npm|yarn)|(?<![\w.}$])/(?:work|root|home|Users)/\w"
)

CODE = (".py", ".pyx", ".pxd", ".pyi")
TEXT = {*CODE, ".md", ".toml", ".yml", ".yaml", ".json", ".go", ".mod", ".java", ".js", ".mjs", ".xml", ".txt", ""}


@cache
def files() -> tuple[str, ...]:
    """Every file that is, or would be, part of the repository."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    return tuple(sorted({path for path in listed.split("\0") if path and (ROOT / path).is_file()}))


@cache
def text(path: str) -> str:
    return (ROOT / path).read_text("utf-8")


def code(*suffixes: str, under: str = "") -> list[str]:
    return [path for path in files() if path.endswith(suffixes or CODE) and path.startswith(under)]


def module_of(path: str) -> str:
    name = path.rsplit(".", 1)[0].replace("/", ".")
    return name.removesuffix(".__init__")


def part_of(module: str) -> str:
    """`nacosx.engine.gateway` → `engine`; the package itself → ``."""
    return [*module.split("."), ""][1]


def report(broken: list[str], rule: str) -> None:
    assert not broken, f"{rule}\n  " + "\n  ".join(broken)


# --- direction -------------------------------------------------------------------------------------------------------

CYTHON_IMPORT = re.compile(
    r"^\s*(?:from\s+(?P<of>[\w.]+)\s+c?import\s+(?P<what>\(?[^#\n]*)|c?import\s+(?P<whole>[\w., ]+))", re.M
)


def python_imports(path: str) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(text(path))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: import by the full name"
            yield node.lineno, node.module or ""
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def cython_imports(path: str) -> Iterator[tuple[int, str]]:
    """Imports and cimports alike, read by their spelling: Cython's own parser would need a compilation."""
    source = text(path)
    for found in CYTHON_IMPORT.finditer(source):
        line = source.count("\n", 0, found.start()) + 1
        if found["of"]:
            yield line, found["of"]
            yield from (
                (line, f"{found['of']}.{name.split(' as ')[0].strip('() ')}") for name in found["what"].split(",")
            )
        else:
            yield from ((line, name.split(" as ")[0].strip()) for name in found["whole"].split(","))


def imports(path: str) -> Iterator[tuple[int, str]]:
    return cython_imports(path) if path.endswith((".pyx", ".pxd")) else python_imports(path)


def may_import(importer: str, imported: str) -> bool:
    ours, theirs = part_of(importer), part_of(imported)
    if theirs in {"", "__version__"} or ours == theirs or ours == "":
        return True
    if theirs in ONLY_FROM and ours not in ONLY_FROM[theirs]:
        return False
    below = imported.removeprefix("nacosx.")
    return RANKS[theirs] < RANKS[ours] or any(
        ours == who and f"{below}.".startswith(f"{what}.") for who, what in ALSO_ALLOWED
    )


def test_requests_walk_one_way() -> None:
    """server → wire → api → engine → rooms → _core, for imports and cimports."""
    unranked = {part_of(module_of(path)) for path in code(under="nacosx/")} - {""} - set(RANKS)
    assert not unranked, f"give these parts a rank: {sorted(unranked)}"
    broken = [
        f"{path}:{line}: {module_of(path)} may not know {imported}"
        for path in code(under="nacosx/")
        for line, imported in imports(path)
        if imported.startswith("nacosx.")
        and part_of(imported) in {*RANKS, ""}
        and not may_import(module_of(path), imported)
    ]
    report(broken, "requests walk one way: server → wire → api → engine → rooms → _core (storage: from server only)")


def test_rooms_are_pure() -> None:
    """Rooms take values and return values: no clock, no socket, no loop, no disk."""
    broken = [
        f"{path}:{line}: {imported}"
        for path in code(under="nacosx/")
        if part_of(module_of(path)) in PURE
        for line, imported in imports(path)
        if imported.split(".")[0] in IMPURE
    ]
    report(broken, "rooms do no IO and ask no clock: stamp it into the command")


def test_run_time_needs_no_tests_nor_benchmarks() -> None:
    """The package imports neither its tests nor its benchmarks nor the oracles they use."""
    foreign = {"tests", "bench", "pytest", "hypothesis", "grpc", "h11", "nacos", "v2", "requests"}
    broken = [
        f"{path}:{line}: {imported}"
        for path in code(under="nacosx/")
        for line, imported in imports(path)
        if imported.split(".")[0] in foreign
    ]
    report(broken, "the package may not import these")


def test_no_module_is_left_over() -> None:
    """Every module of the package is imported by another one, or is an entrance."""
    if "nacosx/server.py" not in files():
        return  # the composition root is what uses the parts
    known = {module_of(path) for path in code(".py", ".pyx", under="nacosx/")}
    used = {
        imported for path in code(under="nacosx/") for _, imported in imports(path) if module_of(path) != imported
    }  # `from nacosx.naming import views` counts as `nacosx.naming.views`
    packages = {module for module in known if any(other.startswith(f"{module}.") for other in known)}
    report(sorted(known - used - packages - set(ENTRANCES)), "nothing imports these modules: remove or use them")


# --- sizes -----------------------------------------------------------------------------------------------------------


def test_a_file_has_one_idea() -> None:
    """No source file is longer than FILE_LINES_MAX lines."""
    broken = [
        f"{path}: {lines} lines"
        for path in code()
        if (lines := text(path).count("\n")) > FILE_LINES_MAX and path not in LONG_FILES
    ]
    report(broken, f"a file has at most {FILE_LINES_MAX} lines")


def python_functions(path: str) -> Iterator[tuple[str, int, int]]:
    for node in ast.walk(ast.parse(text(path))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, node.lineno, (node.end_lineno or node.lineno) - node.lineno + 1


CYTHON_FUNCTION = re.compile(r"^(\s*)(?:async )?(?:cp?def|def)\b(?!\s+class)[^=\n]*?(\w+)\s*\(")


def cython_functions(path: str) -> Iterator[tuple[str, int, int]]:
    """A function ends at the next line that is not deeper than its `def`."""
    lines = text(path).splitlines()
    for start, line in enumerate(lines):
        found = CYTHON_FUNCTION.match(line)
        if not found:
            continue
        end = start
        for number in range(start + 1, len(lines)):
            body = lines[number]
            if body.strip() and not body.startswith((f"{found[1]} ", f"{found[1]}\t", f"{found[1]})")):
                break
            if body.strip():
                end = number
        yield found[2], start + 1, end - start + 1


def test_a_function_fits_a_screen() -> None:
    """No function is longer than FUNCTION_LINES_MAX lines, unless the table says why."""
    broken = [
        f"{path}:{line}: {name} has {length} lines"
        for path in code(".py", ".pyx")
        for name, line, length in (cython_functions if path.endswith(".pyx") else python_functions)(path)
        if length > FUNCTION_LINES_MAX and f"{path}::{name}" not in LONG_FUNCTIONS
    ]
    report(broken, f"a function has at most {FUNCTION_LINES_MAX} lines")


def test_the_tables_of_exceptions_are_in_use() -> None:
    """An exception that is needed no longer leaves the table."""
    sources = set(files())
    stale = [path for path in LONG_FILES if path not in sources or text(path).count("\n") <= FILE_LINES_MAX]
    for place in LONG_FUNCTIONS:
        path, name = place.split("::")
        reader: Callable[[str], Iterator[tuple[str, int, int]]] = (
            cython_functions if path.endswith(".pyx") else python_functions
        )
        if path not in sources or not any(n == name and length > FUNCTION_LINES_MAX for n, _, length in reader(path)):
            stale.append(place)
    report(stale, "take these out of the tables")


# --- names and words -------------------------------------------------------------------------------------------------


def test_names_say_something() -> None:
    """No Manager, Impl, Helper, Util; no module called utils or common."""
    broken = [path for path in code() if MODULE_NAMES.match(Path(path).stem)]
    for path in code(".py", ".pyx", ".pxd"):
        for found in re.finditer(r"^\s*(?:cdef |cpdef )?class (\w+)", text(path), re.M):
            broken += [f"{path}: class {found[1]}: {instead}" for pattern, instead in NAMES if pattern.search(found[1])]
    report(broken, "a name says what the thing is")


def test_words_that_have_a_better_one() -> None:
    """No unfinished marks, no swallowed errors, no sleeps in tests, no second kind of timer."""
    broken = []
    for pattern, where, instead in WORDS:
        for path in code():
            if path == "tests/test_tidy.py" or not re.match(where or ".", path):
                continue
            for found in re.finditer(pattern, text(path), re.M):
                if (path, found[0].strip()) not in WORDS_ALLOWED:
                    line = text(path).count("\n", 0, found.start()) + 1
                    broken.append(f"{path}:{line}: {found[0].strip()}: {instead}")
    report(broken, "write it otherwise")


def test_nothing_names_one_machine() -> None:
    """No registry host and no absolute path of somebody's machine in any file."""
    broken = [
        f"{path}:{number}: {found[0]}"
        for path in files()
        if Path(path).suffix in TEXT
        for number, line in enumerate(text(path).splitlines(), 1)
        for found in PRIVATE.finditer(line)
    ]
    report(broken, "these exist on one machine only")


# --- files -----------------------------------------------------------------------------------------------------------


def test_the_top_level_is_fixed() -> None:
    """A new idea goes into a room, not beside the house."""
    tops = {path.split("/")[0] for path in files()}
    report(sorted(top for top in tops if top not in TOP_LEVEL and not top.startswith(".")), "not on the top level")


def test_no_build_product_is_kept() -> None:
    """Compiled files, generated C and lock files of package managers are made anew."""
    made = (".so", ".c", ".html", ".whl", ".pyc", ".class", ".jar", ".zip", "package-lock.json")
    report([path for path in files() if path.endswith(made)], "build products")


def test_every_compiled_module_has_its_stub() -> None:
    """Each .pyx has a hand-written .pyi beside it, each .pxd a .pyx, unless it declares a C library."""
    sources = set(files()) | {path.removesuffix(".pxd") + ".pyx" for path in C_LIBRARIES}
    broken = [path for path in code(".pyx") if path.removesuffix(".pyx") + ".pyi" not in sources]
    broken += [path for path in code(".pxd") if path.removesuffix(".pxd") + ".pyx" not in sources]
    broken += [path for path in code(".pyi", under="nacosx/") if path.removesuffix(".pyi") + ".pyx" not in sources]
    report(broken, "a .pyx and a .pyi go together, and a .pxd has its .pyx")


def test_every_module_tells_its_idea() -> None:
    """Modules and packages begin with a docstring; test modules tell what they hold."""
    broken = [
        path
        for path in code(".py", ".pyx")
        if text(path).strip() and not re.match(r'(?:#[^\n]*\n|\s)*r?"""', text(path))
    ]
    report(broken, "begin with a docstring")


def test_every_test_tells_its_story() -> None:
    """The name of a test is a sentence that says what holds, or its first line is."""
    broken = [
        f"{path}:{node.lineno}: {node.name}"
        for path in code(".py", under="tests/")
        for node in ast.walk(ast.parse(text(path)))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and node.name.count("_") < 4
        and not ast.get_docstring(node)
    ]
    report(broken, "name the test by what holds, or begin it with one line that does")
