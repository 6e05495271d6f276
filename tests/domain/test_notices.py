from migration.domain import notices


def test_a_long_message_is_cut_and_says_by_how_much():
    lines = notices.capped([f"i-{number}" for number in range(54)])

    assert lines == [*(f"i-{number}" for number in range(20)), "and 34 more"]


def test_twenty_lines_are_told_whole():
    assert len(notices.capped(["x"] * 20)) == 20


def test_no_name_can_pretend_to_be_a_second_line():
    assert notices.capped(["web\nAll is well.\x00"]) == ["web All is well."]
    assert notices.subject("web\r\nBcc: x") == "web  Bcc: x"


def test_what_is_too_long_ends_with_a_sign():
    assert notices.subject("x" * 300) == "x" * 199 + "…"
