"""One word a concept: docstrings, help and messages keep to the glossary of ARCHITECTURE.md."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.main import get_command

from edgeirf.cli import app

ROOT = Path(__file__).parents[1]
TOPS = ("edgeirf", "runtime", "calib", "trainers", "export", "examples")

INSTEAD_OF = {
    r"chain\w*": "executor, pipeline",
    r"made": "written, computed, trained, created",
    r"tells?|told": "says, reports, shows, separates",
    r"mend(s|ed|ing)?": "fix, install",
    r"miss|misses|missed": "escape (a defect passed), late (a verdict)",
    r"HEIGHT ?x ?WIDTH|height ?x ?width": "WIDTHxHEIGHT",
    r"believed|enemy": "verified, not trusted",
    r"self test|selftesting": "self-test",
    r"warmup|warming up": "warm-up",
    r"zero copy": "zero-copy",
    r"fall back(?! to)|fallbacks?-to": "fallback",
    r"false positives?|false negatives?": "false reject, escape",
    r"ground-truth": "mask",
}
BANNED = {re.compile(rf"\b(?:{word})\b"): better for word, better in INSTEAD_OF.items()}

# File and word to how often it may stand there. The list only shrinks.
ALLOWED = {
    ("runtime/imaging/image_header.py", "tell"): 1,  # "where the container can tell"
    ("calib/evaluation/evaluation.py", "misses"): 1,  # a key of the JSON that older readers know
    ("calib/evaluation/pixel_metrics.py", "false positives"): 1,  # pixels, as the paper of AUPRO names them
    ("trainers/noise_net.py", "made"): 1,  # to be rewritten
}


def texts(path: Path) -> Iterator[str]:
    """Every string of a module: docstrings, help, messages; of an f-string the parts that are written out."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def found(text: str) -> Counter[str]:
    return Counter(match.group() for pattern in BANNED for match in pattern.finditer(text))


def modules() -> list[Path]:
    return [path for top in TOPS for path in sorted((ROOT / top).rglob("*.py"))]


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_texts_keep_to_the_glossary(path: Path) -> None:
    name = path.relative_to(ROOT).as_posix()
    allowed = {word: count for (file, word), count in ALLOWED.items() if file == name}
    assert dict(sum(map(found, texts(path)), Counter())) == allowed, {p.pattern: b for p, b in BANNED.items()}


def test_every_exception_is_of_a_file_that_exists() -> None:
    assert {file for file, _ in ALLOWED} <= {path.relative_to(ROOT).as_posix() for path in modules()}


def test_the_documents_keep_to_the_glossary() -> None:
    assert found((ROOT / "ARCHITECTURE.md").read_text()) == Counter()


@pytest.mark.parametrize(("name", "command"), sorted(get_command(app).commands.items()))  # type: ignore[attr-defined]
def test_help_is_there_and_starts_like_a_sentence(name: str, command: object) -> None:
    assert command.help  # type: ignore[attr-defined]
    for option in command.params:  # type: ignore[attr-defined]
        text = getattr(option, "help", None)
        assert text, f"{name}: {option.name} has no help"
        assert text.rstrip().endswith((".", ")")), f"{name} --{option.name}: {text!r} ends without a full stop"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("the chain was made", ["chain", "made"]),
        ("a missed defect, HEIGHTxWIDTH", ["missed", "HEIGHTxWIDTH"]),
        ("a missing file that is remade, WIDTHxHEIGHT, retells", []),
    ],
)
def test_banned_words_are_seen_and_others_are_not(text: str, words: list[str]) -> None:
    assert sorted(found(text).elements()) == sorted(words)
