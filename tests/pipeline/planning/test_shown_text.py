"""Text as it may be shown to people."""

from __future__ import annotations

from pipeline.planning.shown_text import without_controls, without_lines


def test_an_error_of_spark_is_shown_without_its_values_and_one_of_the_batch_whole() -> None:
    of_spark = "date 2026-03-02 failed: [CAST_INVALID_INPUT] The value 'Ada' of customer 4711123 is no number"
    assert (
        without_lines(of_spark)
        == "date 2026-03-02 failed: [CAST_INVALID_INPUT] The value … of customer … is no number"
    )
    own = "date 2026-03-02 does not reconcile: received 123456 lines 'x'"
    assert without_lines(own) == own


def test_a_quoted_line_and_all_after_it_is_left_out() -> None:
    error = (
        "drop 2026-03-02 is blocked: 5 rejects; for example bad_quantity in a.csv: Ada;4711; drop 2026-03-03"
    )
    assert without_lines(error) == "drop 2026-03-02 is blocked: 5 rejects; an example is in ledger/runs"


def test_what_turns_text_around_is_replaced_and_scripts_are_kept() -> None:
    assert without_controls("a\u202eb\x1b\x00\ud800") == "a\ufffdb\ufffd\ufffd\ufffd"
    assert without_controls("1\u202f000\u3000\u200d\n\t") == "1\u202f000\u3000\u200d\n\t"
