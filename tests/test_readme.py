import math
import re
from pathlib import Path

import pytest
import torch

README = Path(__file__).parent.parent / "README.md"


def examples() -> list[str]:
    return re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)


def test_the_example_of_training_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(examples()[1], names)
    vectors, data, encoder = names["vectors"], names["data"], names["encoder"]
    torch.testing.assert_close(encoder.encode(data.test.inputs), vectors)


def test_the_example_of_measuring_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(examples()[0], names)
    found, total = names["r"], names["t"]
    truth = 1.5 * math.log(2)
    assert found.interval[0] < truth < found.interval[1]
    assert total.interval[0] < truth < total.interval[1]
    assert names["log_ratio"].mean() == pytest.approx(truth, abs=0.2)
    assert Path("estimate.png").stat().st_size > 0


@pytest.mark.parametrize("document", [README, *README.parent.glob("docs/*.md")], ids=lambda path: path.name)
def test_every_file_that_a_document_links_to_exists(document: Path) -> None:
    links = re.findall(r"\]\((?!http)([^)#]+)\)", document.read_text())
    assert len(links) >= 4 or document != README
    assert [link for link in links if not (document.parent / link).exists()] == []
