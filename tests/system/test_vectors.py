"""No vector is missing: each row has a test, here or elsewhere."""
import importlib
import re

import vectors
from harness import SOURCE

MODULES = [importlib.import_module(p.stem) for p in sorted((SOURCE / "tests/system").glob("test_vectors_*.py"))]
IDS = [i for m in MODULES for i in vectors.ids_of(m)]


def test_every_row_is_somewhere():
    wanted = {f"{letter}{i}" for letter, n in vectors.ROWS.items() for i in range(1, n + 1)}
    shown = {vectors.row_of(i) for i in IDS}
    assert shown | set(vectors.ELSEWHERE) == wanted
    assert not shown & set(vectors.ELSEWHERE)
    assert len(IDS) == len(set(IDS)), "an id is there twice"


def test_letters_are_in_order():
    for name in {vectors.row_of(i) for i in IDS}:
        letters = sorted(i[len(name):] for i in IDS if vectors.row_of(i) == name)
        assert letters in ([""], list("abcdefgh")[:len(letters)]), name


def test_every_difference_has_a_test_and_a_reason():
    assert set(vectors.VECTOR_DIFFERENCES) <= set(IDS) | set(vectors.ELSEWHERE)
    assert all(vectors.VECTOR_DIFFERENCES.values())


def test_what_is_shown_elsewhere_is_there():
    for name, place in vectors.ELSEWHERE.items():
        path, case = place.split(": ")
        text = (SOURCE / path).read_text()
        form = rf"^def {case}\(" if path.endswith(".py") else rf"^{case}\(void \*\*state\)"
        assert re.search(form, text, re.M), f"{name}: {place}"
