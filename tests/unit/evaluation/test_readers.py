"""Readers of the three layouts: what they read, and what they say about a mistake."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from argosy.contracts.errors import ArgosyError, InvalidRequest, NotFound
from argosy.evaluation import beir, questions, sources
from argosy.evaluation.cases import Case

pytestmark = pytest.mark.unit


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def beir_folder(tmp_path: Path, qrels: str = "query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td2\t0\n") -> Path:
    folder = tmp_path / "harbour"
    write(folder / "corpus.jsonl", '{"_id": "d1", "title": "Quay", "text": "Long."}\n{"_id": "d2", "text": ""}\n')
    answers = '{"_id": "q1", "text": "How long?", "metadata": {"answers": ["long", "lengthy"]}}\n'
    write(folder / "queries.jsonl", answers + '{"_id": "q2", "text": "Not judged."}\n')
    write(folder / "qrels" / "test.tsv", qrels)
    return folder


def test_a_beir_folder_gives_its_judged_queries_with_grades_and_answers(tmp_path: Path) -> None:
    found = sources.read(beir_folder(tmp_path))

    assert (found.name, found.layout) == ("harbour", "beir")
    assert found.cases == (Case("q1", ("How long?",), any=("long", "lengthy"), relevance={"d1": 2, "d2": 0}),)
    assert found.corpus is not None
    read = list(beir.documents(found.corpus))
    assert [(one.id, one.title, one.text) for one in read] == [("d1", "Quay", "Long.")], "d2 holds nothing"


def test_judgements_in_the_columns_of_trec_are_read(tmp_path: Path) -> None:
    assert sources.read(beir_folder(tmp_path, "q1 0 d1 3\n")).cases[0].relevance == {"d1": 3}


@pytest.mark.parametrize(
    ("change", "content", "said"),
    [
        (
            "corpus.jsonl",
            '{"_id": "d1", "text": "a"}\n{"_id": "d1", "text": "b"}\n',
            "line 2: the _id 'd1' occurs twice",
        ),
        ("corpus.jsonl", '{"_id": "d1", "text": 3}\n{"text": "b"}\n', "line 2: the field '_id' is missing"),
        ("corpus.jsonl", "[1]\n", "line 1: a JSON object"),
        ("corpus.jsonl", "{\n", "line 1: this is not valid JSON"),
        ("queries.jsonl", '{"_id": "q1", "text": ["a"]}\n', "line 1: the field 'text' must be a text, not a list"),
        ("queries.jsonl", '{"_id": "other", "text": "x"}\n', "No query of"),
        ("qrels/test.tsv", "q1\td1\tgood\nq1\td1\tbad\n", "line 2: the score is 'bad'"),
        ("qrels/test.tsv", "q1\td1\t1\tx\ty\n", "line 1: 5 columns"),
        ("qrels/test.tsv", "q1\td1\t1\nq7\td1\t1\n", "judges 1 queries"),
    ],
)
def test_a_mistake_in_a_beir_folder_is_named_with_its_line(
    tmp_path: Path, change: str, content: str, said: str
) -> None:
    folder = beir_folder(tmp_path)
    write(folder / change, content)

    with pytest.raises(InvalidRequest) as refused:
        list(beir.documents(sources.read(folder).corpus or folder))

    assert said in refused.value.message
    assert change in refused.value.message


def test_several_judgements_need_a_split(tmp_path: Path) -> None:
    folder = beir_folder(tmp_path)
    write(folder / "qrels" / "dev.tsv", "q2\td1\t1\n")

    assert [case.id for case in sources.read(folder, "dev").cases] == ["q2"]
    assert [case.id for case in sources.read(folder).cases] == ["q1"]
    with pytest.raises(InvalidRequest, match=r"--split one of: dev, test"):
        sources.read(folder, "train")


def test_questions_in_csv_have_alternatives_documents_and_kinds(tmp_path: Path) -> None:
    path = write(
        tmp_path / "own.csv",
        "\ufeffquestion;expected;document;kind;unanswerable\n"
        "How much?;14 euros | fourteen euros;fees.md;numbers;\n"
        "\n"
        "Who is mayor?;;;;yes\n",
    )

    found = sources.read(path)

    assert found.layout == "questions"
    assert found.cases == (
        Case("1", ("How much?",), "numbers", any=("14 euros", "fourteen euros"), relevance={"fees.md": 1}),
        Case("2", ("Who is mayor?",), nothing=True),
    )


def test_questions_in_json_and_json_lines_are_the_same(tmp_path: Path) -> None:
    entries = [
        {"id": "a", "question": "When?", "answers": ["noon", "12:00"], "doc": "hours.md"},
        {"turns": ["When?", "And on Sunday?"], "all": ["never"], "none": ["noon"]},
        {"search": "hours", "first": "hours.md", "mode": "lexical", "top_k": 3},
    ]
    whole = write(tmp_path / "one.json", json.dumps(entries))
    lines = write(tmp_path / "one.jsonl", "\n".join(map(json.dumps, entries)))

    found = sources.read(whole)

    assert found.cases == sources.read(lines).cases
    first, second, third = found.cases
    assert (first.id, first.any, first.relevance) == ("a", ("noon", "12:00"), {"hours.md": 1})
    assert (second.turns, second.question, second.all) == (("When?", "And on Sunday?"), "And on Sunday?", ("never",))
    assert (third.searched, third.mode, third.top_k, third.first) == (True, "lexical", 3, "hours.md")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("questoin,expected\na,b\n", "line 1: the field 'questoin' is not known. Did you mean 'question'?"),
        ("expected,document\na,b\n", "line 1: the heading has no column 'question'"),
        ("question,expected,answer\na,b,c\n", "line 1: two columns mean 'expected'"),
        ("question,expected\nHow, then?,b\n", "line 2: 3 cells, but the heading names 2 columns"),
        ("question,expected\nHow?,\n", "line 2: nothing is expected"),
        ("question,expected,unanswerable\nHow?,b,yes\n", "line 2: an answer is expected and"),
        ("question,expected,unanswerable\nHow?,b,perhaps\n", "line 2: the field 'unanswerable' is 'perhaps'"),
        ("question,expected\n", "the file has no question"),
        ("id,question,expected\nx,a,b\nx,c,d\n", "line 3: the id 'x' occurs twice"),
    ],
)
def test_a_mistake_in_a_file_of_questions_is_named_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        sources.read(write(tmp_path / "own.csv", text))

    assert said in refused.value.message
    assert "own.csv" in refused.value.message


def test_groups_are_read_with_their_files(tmp_path: Path) -> None:
    write(tmp_path / "inputs" / "faq.md", "# Keys")
    group = {"kind": "headings", "files": ["faq.md"], "cases": [{"ask": "Keys?", "all": ["30"]}, {"search": "k"}]}
    path = write(tmp_path / "cases.json", json.dumps([group]))

    found = sources.read(path)

    assert found.layout == "groups"
    assert found.groups == ((tmp_path.resolve() / "inputs" / "faq.md",),)
    assert [(c.id, c.kind, c.literal, c.searched) for c in found.cases] == [
        ("1.1", "headings", True, False),
        ("1.2", "headings", True, True),
    ]


@pytest.mark.parametrize(
    ("group", "said"),
    [
        ({"files": ["gone.md"], "cases": [{"ask": "x", "all": ["y"]}]}, "group 1: there is no file"),
        ({"files": [], "cases": [{"ask": "x", "all": ["y"]}]}, "group 1: the field 'files' is empty"),
        ({"files": ["faq.md"], "cases": [{"ask": "x", "search": "y"}]}, "group 1, case 1: exactly one of"),
        ({"files": ["faq.md"], "cases": [{"ask": "x", "mode": "both"}]}, "group 1, case 1: the field 'mode'"),
        ({"files": ["faq.md"], "cases": [], "colour": 1}, "group 1: the field 'colour' is not known"),
    ],
)
def test_a_mistake_in_a_group_is_named(tmp_path: Path, group: dict[str, object], said: str) -> None:
    write(tmp_path / "inputs" / "faq.md", "# Keys")

    with pytest.raises(ArgosyError) as refused:
        sources.read(write(tmp_path / "cases.json", json.dumps([group])))

    assert said in refused.value.message


def test_what_is_neither_is_refused_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="argosy eval make"):
        sources.read(tmp_path)
    with pytest.raises(InvalidRequest, match="ends with one of"):
        sources.read(write(tmp_path / "own.txt", "x"))
    with pytest.raises(NotFound, match="Check the path"):
        sources.read(tmp_path / "gone.csv")
    (tmp_path / "latin.csv").write_bytes(b"question,expected\nGr\xfc\xdfe?,x\n")
    with pytest.raises(InvalidRequest, match="not UTF-8"):
        sources.read(tmp_path / "latin.csv")


@settings(deadline=None)
@given(st.text(max_size=300))
def test_any_csv_is_read_or_refused_with_its_name(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("any") / "any.csv"
    path.write_text("question,expected\n" + text, encoding="utf-8", errors="replace", newline="")

    said, cases = "", 0
    try:
        cases = len(questions.read(path).cases)
    except InvalidRequest as refused:
        said = refused.message

    assert cases or "any.csv" in said


def test_a_sample_is_always_the_same_and_keeps_the_order(tmp_path: Path) -> None:
    rows = "\n".join(f"Question {n}?,x" for n in range(50))
    whole = sources.read(write(tmp_path / "own.csv", f"question,expected\n{rows}\n"))

    drawn = whole.sample(10)

    assert len(drawn.cases) == 10
    assert drawn == whole.sample(10)
    assert [int(case.id) for case in drawn.cases] == sorted(int(case.id) for case in drawn.cases)
    assert whole.sample(100) is whole
