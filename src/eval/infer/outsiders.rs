//! Which reads return what outsiders wrote, and in which fields.

use crate::catalogue::tool::OutsiderFields;
use crate::intent::words::singular;
use crate::model::sink::{SinkKind, SinkSpec};

/// Fields that the author of a message, a file or an invitation fills. Ids, times and who takes part are the service's own:
/// it made or checked them.
pub const AUTHORED: &[&str] = &[
    "sender",
    "from",
    "reply_to",
    "author",
    "to",
    "cc",
    "bcc",
    "recipients",
    "subject",
    "title",
    "body",
    "text",
    "content",
    "contents",
    "message",
    "description",
    "comment",
    "comments",
    "review",
    "reviews",
    "snippet",
    "preview",
    "summary",
    "note",
    "notes",
    "html",
    "markdown",
    "link",
    "links",
    "url",
    "attachments",
    "attachment",
];

/// Nouns of tools all of whose results anybody may have written.
const PUBLIC: &str = "web webpage website page url browse browser internet news article rss feed timeline post tweet forum \
    comment review rating feedback chat channel conversation thread dm wiki blog issue ticket transcript";
/// Nouns of tools that return what others sent or shared, beside what their service says of it.
const SHARED: &str = "email mail inbox message file document doc note notification invitation calendar event attachment drive \
    letter invoice folder task";
/// Nouns of tools that return a ledger: who paid whom is the service's own, what it was said to be for is not.
const LEDGERS: &str = "transaction payment statement transfer order booking reservation";
/// Fields of a ledger that the other party fills.
const REMARKS: &[&str] =
    &["subject", "description", "note", "notes", "memo", "message", "comment", "remark", "purpose", "text"];

/// What outsiders can write into the results of a read. The name says it; where it does not, the first words of the
/// description do.
pub(super) fn of(name: &[String], description: &[String], sinks: &[SinkSpec]) -> OutsiderFields {
    let lead = description.iter().take(LEAD_WORDS);
    let words: Vec<&str> = name.iter().chain(lead).map(|w| singular(w)).collect();
    let speaks_of = |list: &str| words.iter().any(|w| list.split(' ').any(|l| l == *w));
    if sinks.iter().any(|s| s.kind == SinkKind::Url) || speaks_of(PUBLIC) {
        return OutsiderFields::All;
    }
    let fields = if speaks_of(SHARED) {
        AUTHORED
    } else if speaks_of(LEDGERS) {
        REMARKS
    } else {
        return OutsiderFields::None;
    };
    OutsiderFields::Paths(fields.iter().map(|f| format!("**.{f}")).collect())
}

/// Words of a description that say what the tool returns; what follows are details.
const LEAD_WORDS: usize = 12;
