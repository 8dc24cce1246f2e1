"""Documents to print and to project: words come from the views, whatever signs they hold; same data, same bytes."""

import dataclasses
import html
import json
import re
from collections.abc import Mapping
from typing import Any

import pytest
from markupsafe import Markup
from site_simulated import record_row, site_inputs

from evaluation.errors import InternalError
from evaluation.report import behind, innovation_views, pages, texts, words
from evaluation.report.inputs import Inputs, Said
from evaluation.report.locale import Lang
from evaluation.report.pdf import documents, pictures, plain, press

HOSTILE = "#panic() $x$ [a] @ref <b> *c* _d_ `e` \\ // = - + /* */"
NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
TEMPLATES = ("deck", "dossier", "note", "report", "slides")


def _documents(inputs: Inputs, lang: Lang = "fr") -> dict[str, press.Document]:
    return dict(documents.plan(inputs, lang))


def _of(template: str, inputs: Inputs, lang: Lang = "fr") -> press.Document:
    return next(found for found in _documents(inputs, lang).values() if found.template == template)


@pytest.mark.filterwarnings("ignore")  # typst warns that HTML leaves out page and place, which hold form only
def _told(document: press.Document) -> str:
    """Words of a document as one line."""
    text = re.sub(r"<svg.*?</svg>|<style.*?</style>", " ", press.html(document), flags=re.DOTALL)
    return re.sub(r"[ \n]+", " ", html.unescape(re.sub(r"<[^>]+>", " ", text)))


def _with_label(inputs: Inputs, label: str) -> Inputs:
    innovations = [{**row, "label_fr": label, "label_en": label} for row in inputs.innovations]
    return dataclasses.replace(inputs, innovations=innovations)


# words ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lang", ["fr", "en"])
def test_the_note_says_what_the_page_of_the_innovation_says(lang: Lang) -> None:
    inputs = site_inputs()
    view = innovation_views.innovation(inputs, inputs.decisions[0], lang)
    told = _told(_of("note", inputs, lang))
    finding = view["dials"]["finding"]
    for text in (
        view["label"].text,
        view["decision"]["label"].text,
        view["decision"]["reason"].text,
        finding["sentence"],
        finding["caution"].text,
        finding["grade"]["label"],
        view["coverage"][0]["text"],
        view["scope"].text,
    ):
        assert text in told, text


@pytest.mark.parametrize("template", TEMPLATES)
def test_no_number_of_a_document_is_typed_by_hand(template: str) -> None:
    document = _of(template, site_inputs())
    known = json.dumps(document.data, ensure_ascii=False) + json.dumps(texts.read("fr"), ensure_ascii=False)
    numbers = set(NUMBER.findall(_told(document)))
    assert numbers
    assert numbers <= set(NUMBER.findall(known))


def test_templates_hold_no_words_but_keys_of_texts() -> None:
    keys = {f"{section}.{key}" for section, entries in texts.read("fr").items() for key in entries}
    for name in press.templates():
        code = re.sub(r"//.*", "", (press.folder() / f"{name}.typ").read_text(encoding="utf-8"))
        asked = set(re.findall(r'\bt\("([a-z_]+\.[A-Za-z_]*[A-Za-z])"', code))
        assert asked <= keys, name
        spoken = [text for text in re.findall(r'"([^"]*)"', code) if " " in text.strip() and "no text" not in text]
        assert [text for text in spoken if text not in ("1 / 1", "Libertinus Serif", "DejaVu Sans")] == [], name


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_missing_translation_is_an_error_that_names_the_key(template: str, monkeypatch: pytest.MonkeyPatch) -> None:
    document = _of(template, site_inputs())
    code = "".join((press.folder() / f"{name}.typ").read_text(encoding="utf-8") for name in (template, "house"))
    section, _, key = re.findall(r'[^a-z]t\("([a-z_]+\.[a-z_]+)"\)', code.split("#show: ")[-1] or code)[0].partition(
        "."
    )
    left = {name: {k: v for k, v in entries.items() if (name, k) != (section, key)} for name, entries in _all().items()}
    monkeypatch.setattr(press, "_words", lambda lang: json.dumps(left))
    with pytest.raises(InternalError, match=f"E-REP-020[^$]*{section}.{key}"):
        press.pdf(document)


def _all() -> Mapping[str, Mapping[str, str]]:
    return texts.read("fr")


def test_a_page_that_asks_for_a_missing_text_names_it() -> None:
    with pytest.raises(InternalError, match=r"E-REP-020[^$]*nothing under site\.no_such_text"):
        texts.texts("en")("site.no_such_text")


def test_a_document_that_cannot_be_set_says_which() -> None:
    broken = press.Document(template="note", lang="fr", day="2026-01-01", data={"title": "x"})
    with pytest.raises(InternalError, match=r"E-REP-022[^$]*note"):
        press.pdf(broken)


# hostile texts -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("template", TEMPLATES)
def test_signs_of_typst_in_labels_are_signs_like_all_others(template: str) -> None:
    told = _told(_of(template, _with_label(site_inputs(), HOSTILE)))
    assert HOSTILE.replace(" ", "") in told.replace(" ", "").replace("\u200b", "")


@pytest.mark.parametrize(
    ("label", "shown"),
    [
        ("مرحبا بالعالم", "مرحبا بالعالم"),
        ("שלום", "שלום"),
        ("fin 😀", "fin 😀"),
        ("漢字", "\ufffd\ufffd"),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
        ('=HYPERLINK("http://x")', '=HYPERLINK("http://x")'),
        ("a\u202eb\x00c\x07d\u2066", "abcd"),  # a mark of direction would turn round what follows
        ("deux\nlignes\tici", "deux lignes ici"),
    ],
)
def test_every_label_is_readable_or_visibly_replaced(label: str, shown: str) -> None:
    assert plain.legible(label).replace("\u200b", "") == shown
    document = _of("note", _with_label(site_inputs(), label))
    assert press.pdf(document).startswith(b"%PDF-1.7")


def test_a_very_long_word_may_break_and_loses_nothing() -> None:
    word = "x" * 500
    pieces = plain.legible(word).split("\u200b")
    assert "".join(pieces) == word
    assert max(map(len, pieces)) == 24
    assert len(press.pictures(_of("note", _with_label(site_inputs(), word)), 5)) == 2


def test_markup_becomes_pieces_and_only_web_addresses_become_links() -> None:
    markup = Markup(
        '<b>12</b> &lt;i&gt;<br><span class="small">a</span><a href="https://x.org">x</a><a href="../y.html">y</a>'
        '<svg><rect class="all"/><text>z</text></svg><span lang="en">word</span>'
    )
    kinds = [piece if isinstance(piece, str) else piece["kind"] for piece in plain.nodes(markup)]
    assert kinds == ["b", " <i>", "br", "small", "link", "y", "lang"]


def test_a_table_keeps_caption_head_and_rows() -> None:
    markup = Markup(
        '<div class="box"><table><caption>C</caption><thead><tr><th scope="col">H</th></tr></thead>\n'
        '<tbody>\n<tr><th scope="row">R</th><td><div>1</div><div>2</div></td></tr>\n</tbody></table></div>'
    )
    (table,) = plain.nodes(markup)
    assert (table["caption"], table["head"]) == (["C"], [["H"]])
    assert [[[_flat(piece) for piece in cell] for cell in row] for row in table["rows"]] == [[["R"], ["1", "2"]]]


def _flat(piece: Any) -> str:
    return piece if isinstance(piece, str) else "".join(map(_flat, piece["nodes"]))


def test_texts_of_another_language_keep_it_and_strange_values_are_refused() -> None:
    assert plain.plain([Said("a", "en"), {"b": (1, None)}]) == [{"text": "a", "lang": "en"}, {"b": [1, None]}]
    with pytest.raises(InternalError, match="E-REP-021"):
        plain.plain({"x": object()})


# bytes ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("template", TEMPLATES)
def test_the_same_data_give_the_same_accessible_bytes(template: str) -> None:
    document = _of(template, site_inputs())
    first = press.pdf(document)
    press._compiler.cache_clear()
    assert press.pdf(_of(template, site_inputs())) == first
    assert b"pdfuaid:part" in first  # PDF/UA: tagged, titled, with alternatives
    assert b"2026-01-01" in first or b"20260101" in first  # dated with the decision, not with the clock
    assert len(first) < 1_500_000


def test_many_documents_are_the_same_as_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = [_of(template, site_inputs()) for template in ("note", "slides")]
    one_by_one = list(behind.each(press.pdf, wanted))
    monkeypatch.setattr(behind, "FEW", 1)
    assert list(behind.each(press.pdf, wanted)) == one_by_one
    assert behind.one(press.html, wanted[0], much=True)() == behind.one(press.html, wanted[0], much=False)()


def test_there_is_a_note_slides_a_dossier_and_two_documents_for_the_whole() -> None:
    for lang in ("fr", "en"):
        assert documents.names(site_inputs(), lang) == list(_documents(site_inputs(), lang))
    assert documents.names(site_inputs(), "fr") == [
        "pdf/rapport.pdf",
        "pdf/portefeuille.pdf",
        "pdf/dossiers/mobility.pdf",
        "pdf/notes/garage.pdf",
        "pdf/slides/garage.pdf",
    ]


def test_a_note_has_two_pages_and_slides_have_six_however_much_is_known() -> None:
    inputs = site_inputs()
    more = {f"garage-{place}": record_row(f"garage-{place}") for place in range(12)}
    grades = dict.fromkeys(more, inputs.grades["garage-trial"])
    rich = dataclasses.replace(
        inputs,
        records={**inputs.records, **more},
        grades={**inputs.grades, **grades},
        findings={**inputs.findings, **dict.fromkeys(more, inputs.findings["garage-trial"])},
    )
    for each in (inputs, rich):
        assert len(press.pictures(_of("note", each), 5)) == 2
        assert len(press.pictures(_of("slides", each), 5)) == 6


def test_stamps_stand_on_every_document() -> None:
    for _, document in documents.plan(site_inputs(), "fr", ["USAGE INTERNE"]):
        assert "USAGE INTERNE" in _told(document), document.template


# drawings ------------------------------------------------------------------------------------------------------------


def test_an_interval_stands_where_its_numbers_say() -> None:
    # From 0 (no effect) to 0.16 (end of the interval), 18 % of the line free on either side: 0.64 of it for 0.16.
    told = words.Claimed(
        kind="effect",
        grade=4,
        estimate=0.08,
        ci_low=0.04,
        ci_high=0.16,
        better="higher",
        unit_kind="share",
        smallest_effect=0.02,
    )
    found = pictures.interval(told, "en")
    assert found is not None
    assert (found["zero"], found["low"], found["estimate"], found["high"]) == (0.18, 0.34, 0.5, 0.82)
    assert found["useful"] == (0.26, 1.0)
    assert found["alt"] == words.sentence(told, "en")


def test_useful_effects_lie_below_where_less_is_better_and_a_sign_has_no_picture() -> None:
    told = words.Claimed(kind="effect", grade=3, estimate=-2.0, better="lower", smallest_effect=1.0)
    found = pictures.interval(told, "fr")
    assert found is not None
    assert (found["low"], found["useful"]) == (None, (0.0, 0.5))
    assert pictures.interval(words.Claimed(kind="sign_only", grade=3, direction="positive"), "fr") is None


def test_every_class_of_comparison_has_a_drawing() -> None:
    drawings = {pictures.schema(name) for name in texts.read("en")["designs"]}
    code = (press.folder() / "schema.typ").read_text(encoding="utf-8")
    for name in drawings - {"alone"}:
        assert f'name == "{name}"' in code, name
    assert pictures.schema("monitoring") == "alone"


def test_without_documents_no_page_points_to_one() -> None:
    without = dataclasses.replace(site_inputs(), documents=False)
    site = pages.render(without)
    assert not [name for name, text in site.items() if "pdf/" in text]
    assert not [name for name, _ in pages.printed(without) if name.endswith(".pdf")]
    assert [name for name, text in pages.render(site_inputs()).items() if "pdf/notes/" in text]
