import os
import socket
from dataclasses import dataclass
from pathlib import Path

import pytest

from deep_infomax.runtime import records
from deep_infomax.runtime.records import from_json, from_yaml, read_json, read_yaml, typed

REMEDY = "write it again"


@dataclass(frozen=True)
class Record:
    name: str
    sizes: tuple[int, ...]
    share: float | None = None


def refused(path: Path, follow: bool = False) -> str:
    with pytest.raises(ValueError, match="is damaged") as error:
        read_json(path, Record, REMEDY, follow=follow)
    said = str(error.value)
    assert said.startswith(f"{path} is damaged: ")
    assert said.endswith(f"; {REMEDY}")
    return said.removeprefix(f"{path} is damaged: ").removesuffix(f"; {REMEDY}")


def test_a_record_is_read_and_later_fields_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"name": "\\u00e9", "sizes": [1, 2], "share": 1, "later": [{}]}')
    assert read_json(tmp_path / "a.json", Record, REMEDY) == Record("é", (1, 2), 1.0)
    (tmp_path / "a.yaml").write_bytes("\ufeffname: é\nsizes: [1, 2]\nlater: null\n".encode())
    assert read_yaml(tmp_path / "a.yaml", Record, REMEDY) == Record("é", (1, 2))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "no JSON (Expecting value in line 1, column 1)"),
        ('{"name":\n}', "no JSON (Expecting value in line 2, column 1)"),
        ("[]", "expected a mapping, got a list"),
        ("{}", "it lacks name"),
        ('{"name": 1, "sizes": []}', "expected text, got a whole number at name"),
        ('{"name": "a", "sizes": [1, true]}', "expected a whole number, got true or false at sizes[1]"),
        ('{"name": "a", "sizes": [1e30]}', "expected a whole number, got a number at sizes[0]"),
        ('{"name": "a", "sizes": [1], "share": NaN}', "a number is nan, not finite"),
        ('{"name": "a", "sizes": [1], "share": 1e999}', "a number is inf, not finite"),
        ('{"name": "a", "name": "b"}', "the key 'name' is there twice"),
        ('{"name": "\\ud800"}', "a text holds half a character (a lone surrogate)"),
        (f"[{2**64}]", "a whole number has more than 64 bits"),
        (f"[{'9' * 9999}]", "a whole number has more than 64 bits"),
        ("[" * 99_999, "it nests deeper than 32 levels"),
        ("[" * 40 + "]" * 40, "it nests deeper than 32 levels"),
        (b"\xff\xfe", "no text in UTF-8 (byte 1)"),
    ],
)
def test_what_is_wrong_with_json_and_where(tmp_path: Path, content: str | bytes, said: str) -> None:
    (tmp_path / "a.json").write_bytes(content if isinstance(content, bytes) else content.encode())
    assert refused(tmp_path / "a.json") == said


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a: [", "no valid YAML in line 2, column 1"),
        ("\0", "no valid YAML"),
        ("a: 1\nb: &x [*x]", "an anchor or an alias stands in line 2, and neither is read"),
        ("a: !!python/object:os.system b", "a tag stands in line 1, and none is read"),
        ("a: 1\na: 2", "the key 'a' is there twice in line 1"),
        ("a:\n  1: 2", "the key 1 is no text in line 2"),
        ("? [a]\n: b", "the key ['a'] is no text in line 1"),
        ("a: 0b_", "no number can be made of '0b_'"),
        ("a: .inf", "a number is inf, not finite"),
        ("? " * 50_000, "it nests deeper than 32 levels in line 1"),
        ("[\n" * 50_000, "it nests deeper than 32 levels in line 33"),
    ],
)
def test_what_is_wrong_with_yaml_and_where(content: str, said: str) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011 (the words are compared below)
        from_yaml(content)
    assert str(error.value) == said


def test_words_of_yaml_are_the_words_they_are() -> None:
    found = from_yaml("{a: 2001-01-01, b: '1', c: 1, d: 1.5, e: true, f: null, g: 2001-13-45, <<: =}")
    assert found == {"a": "2001-01-01", "b": "1", "c": 1, "d": 1.5, "e": True, "f": None, "g": "2001-13-45", "<<": "="}
    assert from_yaml("") is None


def test_a_log_may_hold_what_is_not_finite() -> None:
    assert from_json('{"loss": Infinity}', finite=False) == {"loss": float("inf")}


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    target = tmp_path / "a.json"
    target.write_text('{"name": "a", "sizes": []}')
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(target)
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
    assert refused(tmp_path / "pipe") == "it is a pipe, no file"
    assert refused(tmp_path / "folder") == "it is a folder, no file"
    assert refused(tmp_path / "socket") == "it is a socket, no file"
    assert refused(tmp_path / "link") == refused(tmp_path / "loop") == "it is a link, no file"
    assert refused(Path("/dev/zero")) == "it is a device, no file"
    assert read_json(tmp_path / "link", Record, REMEDY, follow=True) == Record("a", ())
    (tmp_path / "pipe-link").symlink_to(tmp_path / "pipe")
    assert refused(tmp_path / "pipe-link", follow=True) == "it is a pipe, no file"
    with pytest.raises(FileNotFoundError):
        read_json(tmp_path / "nothing", Record, REMEDY)
    with pytest.raises(OSError, match="symbolic links"):
        read_json(tmp_path / "loop", Record, REMEDY, follow=True)


def test_a_large_file_is_not_read(tmp_path: Path) -> None:
    for name, read, largest in (("a.json", read_json, records.LARGEST), ("a.yaml", read_yaml, records.LARGEST_YAML)):
        with (tmp_path / name).open("wb") as file:
            file.truncate(largest + 1)  # takes no room on the disk
        with pytest.raises(ValueError, match=f"it has more than {largest:,} bytes"):
            read(tmp_path / name, Record, REMEDY)


def test_words_of_an_error_are_one_short_line(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"' + "x\\n" * 5000 + '": 1, "' + "x\\n" * 5000 + '": 2}')
    assert len(refused(tmp_path / "a.json")) < 400


def test_a_type_that_a_dataclass_refuses_is_named() -> None:
    with pytest.raises(ValueError, match=r"^expected a number or nothing, got text at share$"):
        typed({"name": "a", "sizes": [], "share": "1"}, Record)
