"""Tar and parquet files read over a network: addresses, the Hub, and what fails there."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import fsspec
import pytest
import torch
from data_helpers import content, labelled, parquet, picture, tar

from deep_infomax.data import Batches, DataOptions, load_dataset
from deep_infomax.data.addresses import load_address, spelt_out
from deep_infomax.data.hub import load_hub, stream_hub
from deep_infomax.data.stored import WAITS, UnreachableError

STREAM = DataOptions(stream=True)


class Stub:
    """A file system of some files; what is read fails as often as it is told to."""

    def __init__(self, files, prefix=""):
        self.files = {f"{prefix}{name}": data for name, data in files.items()}
        self.failures, self.reads, self.waits = [], [], []

    def info(self, path):
        self.fail()
        if path not in self.files:
            raise FileNotFoundError(path)
        return {"size": len(self.files[path]), "ETag": str(hash(self.files[path]))}

    def cat_file(self, path, start=None, end=None, **options):
        self.fail()
        self.reads.append((path, start, end))
        return self.files[path][start:end]

    def find(self, path):
        self.fail()
        if not any(name.startswith(path) for name in self.files):
            raise FileNotFoundError(path)
        return sorted(self.files)

    def fail(self):
        if self.failures:
            raise self.failures.pop(0)


def files_of(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


@pytest.fixture
def local(tmp_path):
    """Three tar files of ten inputs each."""
    for number in range(3):
        tar(tmp_path / "set" / f"birds-train-{number:02}.tar", labelled(range(10 * number, 10 * number + 10)))
    return tmp_path / "set"


@pytest.fixture
def stub(local):
    return Stub(files_of(local), "https://host/")


BIRDS = "https://host/birds-train-{00..02}.tar"


def opened(stub, address=BIRDS, options=STREAM):
    return load_address(address, options, stub, stub.waits.append)


def assert_same(one, other):
    rows = torch.arange(len(other))
    assert torch.equal(one.take(rows), other.take(rows))
    assert torch.equal(one.labels, other.labels)
    assert one.classes == other.classes


# What is read


def test_files_at_addresses_are_those_of_a_folder(stub, local):
    remote, plain = opened(stub), load_dataset(str(local))
    assert_same(remote.train, plain.train)
    assert_same(remote.test, plain.test)
    assert remote.name == "birds-train.tar"
    assert remote.train.files() == plain.train.files()


def test_the_index_is_made_in_one_pass_and_kept(stub):
    opened(stub)
    sizes = {path: len(data) for path, data in stub.files.items()}
    read = {path: sum(end - start for name, start, end in stub.reads if name == path) for path in sizes}
    assert read == sizes
    stub.reads.clear()
    opened(stub)
    assert stub.reads == []
    stub.files["https://host/birds-train-01.tar"] += bytes(512)
    opened(stub)
    assert {path for path, *_ in stub.reads} == {"https://host/birds-train-01.tar"}


def test_parquet_files_at_an_address(tmp_path):
    rows = {"image": [{"bytes": content(n), "path": None} for n in range(10)], "label": [n % 2 for n in range(10)]}
    file = parquet(tmp_path / "birds.parquet", rows)
    remote = opened(Stub({"https://host/birds.parquet": file.read_bytes()}), "https://host/birds.parquet")
    assert_same(remote.train, load_dataset(str(file)).train)


def test_rows_of_a_remote_table_refer_to_no_file_of_this_machine(tmp_path):
    rows = {"image": [{"bytes": None, "path": str(picture(tmp_path / "secret.png"))}]}
    file = parquet(tmp_path / "birds.parquet", rows)
    with pytest.raises(ValueError, match=r"birds.parquet \(.*secret.png\): there is no image"):
        opened(Stub({"https://host/birds.parquet": file.read_bytes()}), "https://host/birds.parquet")


def test_file_systems_of_fsspec_are_read(local):
    memory = fsspec.filesystem("memory")
    for name, data in files_of(local).items():
        memory.pipe(f"/birds/{name}", data)
    try:
        remote = load_address("memory://birds/birds-train-{00..02}.tar", STREAM, memory)
        assert_same(remote.train, load_dataset(str(local)).train)
    finally:
        memory.rm("/birds", recursive=True)


# Servers


class Answers(BaseHTTPRequestHandler):
    """Answers as servers of files do, by the first folder of the path."""

    files: dict
    fails = 0

    def do_HEAD(self):
        self.answer()

    def do_GET(self):
        self.answer()

    def answer(self):
        kind, _, name = self.path[1:].partition("/")
        data = self.files.get(name)
        if kind == "forbidden" or data is None:
            return self.send_error(403 if kind == "forbidden" else 404)
        if kind == "busy" and self.command == "GET" and type(self).fails:
            type(self).fails -= 1
            return self.send_error(503)
        status, asked = 200, self.headers.get("Range")
        if asked and kind != "whole":
            status, (start, end) = 206, map(int, asked.removeprefix("bytes=").split("-"))
            data = data[start : end + 1]
        self.send_response(status)
        if kind != "unsized":
            self.send_header("Content-Length", str(len(data)))
        self.send_header("ETag", "a tag")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

    def log_message(self, *words):
        pass


@pytest.fixture
def host(local, monkeypatch):
    monkeypatch.setattr(Answers, "files", files_of(local), raising=False)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_server_of_the_web_is_read_in_parts(host, local):
    remote = load_dataset(f"{host}/sound/birds-train-{{00..02}}.tar", STREAM)
    assert_same(remote.train, load_dataset(str(local)).train)


def test_a_server_that_is_busy_for_a_moment_is_asked_again(host, local, monkeypatch):
    monkeypatch.setattr(Answers, "fails", 2)
    waits = []
    remote = load_address(f"{host}/busy/birds-train-00.tar", STREAM, sleep=waits.append)
    assert len(remote.train) == 8
    assert waits == [1, 2]


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        (
            "sound/birds-train-{00..05}.tar",
            r"there is no such file \(.*birds-train-03.tar: 404 Not Found\), one of 6 files",
        ),
        ("sound/birds-{7..9}.tar", r"there is no such file \(.*\), one of 3 files of the range; correct the address"),
        ("sound/none.tar", r"there is no such file \(.*none.tar: 404 Not Found\); correct the address"),
        ("forbidden/birds-train-00.tar", r"it may not be read \(.*: 403 Forbidden\); download the files and give the"),
        ("unsized/birds-train-00.tar", "does not say how large it is; download it and give the file"),
        ("whole/birds-train-00.tar", "sends no parts of files; download it and give the file"),
        ("sound/{0..2}/birds-{1..2}.tar", "has several pairs of braces; give one range"),
        ("sound/birds-{a,b}.tar", r"braces hold no range of numbers; write one like \{000..099\}"),
        ("sound/birds-{9..0}.tar", r"the range \{9..0\} names no files, or more than 100,000; correct it"),
        ("sound/birds.zip", "ends in neither .tar nor .parquet; download it and give the file"),
    ],
)
def test_wrong_addresses_are_refused_in_a_sentence(host, path, sentence):
    with pytest.raises(ValueError, match=sentence):
        load_dataset(f"{host}/{path}", STREAM)


def test_an_address_without_a_stream_says_what_to_set():
    with pytest.raises(
        ValueError, match=r"is read over the network; set `data_options.stream` to true, or download it"
    ):
        load_dataset("https://host/birds.tar")


def test_ranges_are_spelt_out():
    assert spelt_out("a-{8..11}.tar") == ["a-8.tar", "a-9.tar", "a-10.tar", "a-11.tar"]
    assert len(spelt_out("a-{000..099}.tar")) == 100


# What fails


def test_a_read_that_fails_twice_is_tried_again(stub, local):
    stub.failures = [TimeoutError("slow"), ConnectionResetError("gone")]
    source = opened(stub).train
    assert sorted(stub.waits) == [1, 1] or stub.waits == [1, 2]
    stub.waits.clear()
    stub.failures = [TimeoutError("slow"), RuntimeError("of a library")]
    batch = Batches(source, 4, 0, "cpu", resident_bytes=0).batch(0)
    assert torch.equal(batch.inputs, load_dataset(str(local)).train.take(batch.index))
    assert stub.waits[:2] in ([1, 2], [1, 1])


def test_a_read_that_fails_for_good_names_the_file(stub):
    source = opened(stub).train
    stub.failures = [TimeoutError("slow")] * 100
    with pytest.raises(UnreachableError, match=r"birds-train-\d\d.tar cannot be reached \(slow\), tried 5 times"):
        Batches(source, 4, 0, "cpu", resident_bytes=0).batch(0)
    assert set(stub.waits) == set(WAITS)


def test_a_file_that_is_away_while_it_is_indexed_names_it(stub):
    stub.failures = [TimeoutError("slow")] * 100
    with pytest.raises(UnreachableError, match=r"birds-train-\d\d.tar cannot be reached \(slow\), tried 5 times"):
        opened(stub)


def test_a_file_that_became_shorter_is_said(stub):
    source = opened(stub).train
    stub.files = {path: data[:2000] for path, data in stub.files.items()}
    with pytest.raises(ValueError, match=r"birds-train-\d\d.tar ends after 2,000 of [\d,]+ bytes; restore it"):
        source.take(torch.arange(20))


# The Hub


def hub_of(tmp_path, *names, kind="parquet"):
    for first, name in enumerate(names):
        numbers = range(10 * first, 10 * first + 10)
        rows = {"image": [{"bytes": content(n), "path": None} for n in numbers], "label": [n % 2 for n in numbers]}
        if kind == "parquet":
            parquet(tmp_path / "hub" / name, rows)
        else:
            tar(tmp_path / "hub" / name, labelled(numbers))
    return Stub(files_of(tmp_path / "hub"), "datasets/owner/name/")


def test_parquet_files_of_the_hub_are_read_where_they_lie(tmp_path):
    stub = hub_of(
        tmp_path, "data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet", "data/test-0.parquet"
    )
    stub.files["datasets/owner/name/README.md"] = b"words"
    remote = stream_hub("owner/name", STREAM, system=stub, sleep=stub.waits.append)
    plain = load_dataset(str(tmp_path / "hub" / "data"))
    assert_same(remote.train, plain.train)
    assert_same(remote.test, plain.test)
    assert remote.name == "owner/name"


def test_tar_files_of_the_hub_are_read_where_they_lie(tmp_path):
    stub = hub_of(tmp_path, "train/0.tar", "validation/0.tar", kind="tar")
    remote = stream_hub("owner/name", STREAM, system=stub)
    assert (len(remote.train), remote.test.split) == (10, "validation")


def test_a_configuration_of_the_hub_is_a_folder(tmp_path):
    stub = hub_of(tmp_path, "large/train-0.parquet", "small/train-0.parquet")
    with pytest.raises(
        ValueError, match=r"lie in several folders, large, small, .* such as hub:owner/name:large, or put"
    ):
        stream_hub("owner/name", STREAM, system=stub)
    assert len(stream_hub("owner/name:small", STREAM, system=stub).train) == 8
    with pytest.raises(ValueError, match=r"has no parquet or tar files in none, and no others can be streamed; leave"):
        stream_hub("owner/name:none", STREAM, system=stub)


def test_a_data_set_that_the_hub_does_not_show(tmp_path):
    with pytest.raises(ValueError, match=r"the Hugging Face Hub shows no data set 'owner/other'; correct the name"):
        stream_hub("owner/other", STREAM, system=hub_of(tmp_path, "train-0.parquet"))


def test_a_hub_that_cannot_be_reached(tmp_path):
    stub = hub_of(tmp_path, "train-0.parquet")
    stub.failures = [ConnectionError("no route")] * 9
    with pytest.raises(UnreachableError, match=r"the data set owner/name of the Hugging Face Hub cannot be reached"):
        stream_hub("owner/name", STREAM, system=stub, sleep=stub.waits.append)
    assert stub.waits == list(WAITS)


def test_the_library_of_the_hub_is_what_reads_it(tmp_path, monkeypatch):
    import huggingface_hub

    stub = hub_of(tmp_path, "train-0.parquet")
    monkeypatch.setattr(huggingface_hub, "HfFileSystem", lambda: stub)
    assert len(load_hub("owner/name", STREAM).train) == 8
    assert load_dataset("hub:owner/name", STREAM).description["spec"] == "hub:owner/name"
