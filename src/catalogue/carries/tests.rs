//! What is read and what is not.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use super::*;

const TEXT: &str = r#"
[data_classes]
pii = "sensitive"
plain = "ordinary"
[tools."mail.read"]
description = ""
effect = "read"
privilege = 1
data_classes = ["pii"]
outsider_fields = "all"
[tools."mail.send"]
description = ""
effect = "send"
privilege = 1
data_classes = ["pii"]
[tools."file.read"]
description = ""
effect = "read"
privilege = 1
data_classes = ["plain"]
"#;

fn named(classes: &[&str]) -> Vec<DataClass> {
    // As records of earlier versions hold them: at the doors a class is no sentence any more.
    classes.iter().map(|class| DataClass::try_from((*class).to_owned()).unwrap()).collect()
}

#[test]
fn what_is_sent_is_not_read_by_that() {
    let catalogue = Catalogue::parse(TEXT).unwrap();
    let tool = |name: &str| catalogue.tool(&name.parse().unwrap()).unwrap();
    assert_eq!(tool("mail.read").carries().count(), 1);
    assert_eq!(tool("mail.send").carries().count(), 0);
    let classes = named(&["plain", "pii", "safe_said_security"]);
    let carried = |name: &str| catalogue.carries_named(Some(tool(name)), &classes).collect::<Vec<_>>();
    assert_eq!(carried("file.read"), named(&["pii", UNDECLARED]), "ordinary ones are none, made-up ones have one name");
    assert!(carried("mail.send").is_empty());
}
