import json

from s2s_asr.align import Alignment
from s2s_asr.alignment_files import ctm_lines, json_line, text_grid
from s2s_asr.words import Word

WORDS = [Word("oh", 0.1, 0.34, 0.87654), Word('"no"', 0.34, 0.5, 0.5)]
LABELS = [Word("o", 0.1, 0.1, 0.9), Word("h", 0.2, 0.34, 0.87654)]
ALIGNMENT = Alignment(WORDS, LABELS, duration_s=0.75, log_probability=-0.123456)


def test_lines_of_ctm():
    assert ctm_lines("a folder/b.wav", ALIGNMENT) == [
        "a_folder/b.wav 1 0.100 0.240 oh 0.8765",
        'a_folder/b.wav 1 0.340 0.160 "no" 0.5000',
    ]
    assert ctm_lines("b.wav", ALIGNMENT, "labels")[0] == "b.wav 1 0.100 0.000 o 0.9000"


def tier(text, name):
    """The intervals of a tier as Praat reads them."""
    _, found = text.split(f'name = "{name}"\n')
    lines = [line.strip() for line in found.split("    item [")[0].splitlines()]
    assert lines[2] == f"intervals: size = {(len(lines) - 3) // 4}"
    rows = [lines[place : place + 4] for place in range(3, len(lines), 4)]
    assert [row[0] for row in rows] == [f"intervals [{number}]:" for number in range(1, len(rows) + 1)]
    return [tuple(cell.partition(" = ")[2] for cell in row[1:]) for row in rows]


def test_a_text_grid_fills_the_gaps_and_doubles_quotes():
    text = text_grid(ALIGNMENT)
    assert "xmin = 0\nxmax = 0.750\n" in text
    assert tier(text, "words") == [
        ("0.000", "0.100", '""'),
        ("0.100", "0.340", '"oh"'),
        ("0.340", "0.500", '"""no"""'),
        ("0.500", "0.750", '""'),
    ]


def test_a_text_grid_has_no_intervals_without_length():
    assert tier(text_grid(ALIGNMENT), "labels") == [
        ("0.000", "0.100", '""'),
        ("0.100", "0.200", '""'),
        ("0.200", "0.340", '"h"'),
        ("0.340", "0.750", '""'),
    ]
    assert tier(text_grid(Alignment([], [], 0.5, 0.0)), "words") == [("0.000", "0.500", '""')]


def test_a_line_of_json_has_everything():
    row = json.loads(json_line("b.wav", "oh “no”", ALIGNMENT))
    assert (row["path"], row["text"], row["duration_s"], row["log_probability"]) == ("b.wav", "oh “no”", 0.75, -0.1235)
    assert row["words"][0] == {"text": "oh", "start_s": 0.1, "end_s": 0.34, "confidence": 0.8765}
    assert [label["text"] for label in row["labels"]] == ["o", "h"]
    assert "“no”" in json_line("b.wav", "oh “no”", ALIGNMENT)
