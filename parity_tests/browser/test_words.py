"""The page's texts: the same keys and placeholders in English and Japanese, and no key that the page lacks."""

import re
from pathlib import Path

import pytest

import scratch
from scratch.lab.methods import METHODS
from scratch.lab.texts import WORDS

STATIC = Path(scratch.__file__).parent / "lab" / "static"
ENTRY = re.compile(r'^  "?([\w.]+)"?: "(.*)",$', re.MULTILINE)


def words(language: str) -> dict[str, str]:
    return dict(ENTRY.findall((STATIC / "words" / f"{language}.js").read_text(encoding="utf-8")))


def test_both_languages_have_the_same_texts() -> None:
    english, japanese = words("en"), words("ja")
    assert list(english) == list(japanese)
    for key, text in english.items():
        assert sorted(re.findall(r"\{\w+\}", text)) == sorted(re.findall(r"\{\w+\}", japanese[key])), key
        is_symbol = not re.search("[a-z]{4}", re.sub(r"\{\w+\}", "", text))
        assert is_symbol or text != japanese[key], f"{key} is not translated"


@pytest.mark.parametrize("module", sorted(STATIC.glob("*.js")), ids=lambda path: path.name)
def test_every_text_that_a_module_names_exists(module: Path) -> None:
    known = words("en")
    groups = {key.split(".")[0] for key in known} - {"title", "skip", "tabs"}
    source = module.read_text(encoding="utf-8")
    keys = re.findall(rf'"((?:{"|".join(sorted(groups))})\.\w+)"', source)
    assert [key for key in keys if key not in known and key not in {*METHODS, "compare.progress"}] == []


def test_errors_name_fields_by_their_labels() -> None:
    english, japanese = words("en"), words("ja")
    labels = {"index": "pick.index", "level": "hunt.level", "seed": "train.seed", "value": "train.rate"}
    for field, key in labels.items():
        assert WORDS[field] == (english[key], japanese[key])
    assert WORDS["seed"] == (english["hunt.seed"], japanese["hunt.seed"])
    assert WORDS["steps_per_second"] == (english["train.speed"], japanese["train.speed"])


def test_every_text_is_used() -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in STATIC.glob("*.js"))
    made = set(re.findall(r"`([\w.]+?)\$\{", source))  # `tab.${name}`
    unused = [key for key in words("en") if f'"{key}"' not in source and not key.startswith(tuple(made))]
    assert unused == []
