//! Words survive the shell.

use super::quoted;

#[test]
fn words_are_quoted_for_a_shell() {
    assert_eq!(quoted("/tmp/a-b_c/x.json"), "/tmp/a-b_c/x.json");
    assert_eq!(quoted(r#"{"ticket_id":"T-1042"}"#), r#"'{"ticket_id":"T-1042"}'"#);
    assert_eq!(quoted("it's"), r"'it'\''s'");
    assert_eq!(quoted(""), "''");
    assert_eq!(quoted("a$b"), "'a$b'");
}
