//! Which reads return what outsiders wrote, and in which fields.

use crate::catalogue::tool::OutsiderFields;
use crate::intent::words::singular;
use crate::model::sink::{SinkKind, SinkSpec};

// * A tool that is named or described as reading pages returns what outsiders wrote throughout. One that reads posts, tickets,
//   reviews or chats does so but for the record's own id: nobody who writes one chooses its number, the service counts or draws it.
//   Whose it is and what it answers, who writes it does choose.
// * One that reads messages, files or calendars returns it in the fields that their authors fill ([`AUTHORED`]): what it is
//   called, where it is and who organizes it, whoever invites or shares fills in too. Ids and times are the service's own.
//   Who takes part in a meeting or may open a file is taken for the service's own as well, though whoever invites or shares can
//   name anybody: to doubt it asks a person about most mail to the people of a meeting or a document. A catalogue that
//   somebody writes by hand can say otherwise.
// * A ledger returns remarks of others, and who paid: a cent is enough to stand in it.
// * A read that is named after an id returns ids, which the service made (`find_customer_id_by_email`).
// * Where a service lists the places that it has (`list_channels`), or who is in one, it returns its own names. What is written
//   there is something else, and so is a listing of what people wrote (`list_posts`).
// * A listing of what operators name, or of who is in a directory (`list_hosts`, `get_versions`, `list_members`) that answers with a bare list
//   answers with those names: what people say about it would need a field.
// * What decodes, converts, translates or takes something apart returns what it was given in other letters. The agent gave it, so
//   its result is no ground for anything.
// * Any other read returns what others wrote in the fields that are prose by their names, and nobody else's addresses unless
//   it is a directory, which somebody keeps.

/// Fields that the author of a message, a file or an invitation fills. Ids and times are the service's own: it made them.
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
    "organizer",
    "organiser",
    "filename",
    "file_name",
    "location",
];

/// Nouns of tools all of whose results anybody may have written.
const PAGES: &str = "web webpage website page url browse browser internet news article rss feed wiki blog transcript";
/// Nouns of tools that return records that anybody may have written, and that their service numbers.
const RECORDS: &str =
    "timeline post tweet forum comment review rating feedback chat channel conversation thread dm issue ticket";
/// All of a record but its own number.
const ALL_BUT_ITS_ID: &[&str] = &["**", "!**.id", "!**.id_"];
/// Nouns of what operators of a service name: nobody else chooses what stands in a bare list of them. In one of people ([`DIRECTORIES`]) some
/// chose their names themselves, and whose they are somebody answers for.
const OPERATED: &str = "host server service region zone version release branch environment cluster node instance database table bucket queue \
    plan category currency space workspace";
/// Nouns of tools that return what others sent or shared, beside what their service says of it.
const SHARED: &str = "email mail inbox message file document doc note notification invitation calendar event attachment drive \
    letter invoice folder task";
/// Nouns of tools that return a ledger.
const LEDGERS: &str = "transaction payment statement transfer order booking reservation";
/// Nouns of tools that return a directory: somebody answers for the addresses in it.
const DIRECTORIES: &str = "contact user employee customer member person people profile staff directory account colleague \
    team patient guest owner";
/// Fields whose names say that they hold what somebody wrote.
const PROSE: &[&str] = &[
    "subject",
    "description",
    "note",
    "notes",
    "memo",
    "message",
    "messages",
    "comment",
    "comments",
    "remark",
    "remarks",
    "purpose",
    "text",
    "body",
    "content",
    "review",
    "reviews",
    "bio",
    "html",
];
/// Fields of a ledger that say who paid.
const PAYERS: &[&str] = &["sender", "from", "payer", "payer_name", "sender_name", "source_account", "counterparty"];
/// Fields that hold somebody's address.
const ADDRESSES: &[&str] =
    &["email", "emails", "mail", "phone", "telephone", "mobile", "contact", "website", "url", "link", "links"];

/// What outsiders can write into the results of a read. The name says it; where it does not, the first words of the
/// description do.
#[must_use]
pub fn of(name: &[String], description: &[String], sinks: &[SinkSpec]) -> OutsiderFields {
    let lead = description.iter().take(LEAD_WORDS);
    let words: Vec<&str> = name.iter().chain(lead).map(|w| singular(w)).collect();
    if transforms(name) {
        return OutsiderFields::All;
    }
    if lists_places(name, &words) && sinks.iter().all(|s| s.kind != SinkKind::Url) {
        return OutsiderFields::None;
    }
    let speaks_of = |list: &str| words.iter().any(|w| list.split(' ').any(|l| l == *w));
    if sinks.iter().any(|s| s.kind == SinkKind::Url) || speaks_of(PAGES) {
        return OutsiderFields::All;
    }
    let returned = name.iter().take_while(|w| !QUALIFIERS.contains(&w.as_str()));
    if speaks_of(RECORDS) {
        // What is returned numbers itself; what it belongs to or answers, its author said.
        let noun = returned.last().map(|word| singular(word)).filter(|noun| RECORDS.split(' ').any(|l| l == *noun));
        let own_id = noun.map(|noun| format!("!**.{noun}_id"));
        return OutsiderFields::Paths(ALL_BUT_ITS_ID.iter().map(|p| (*p).to_owned()).chain(own_id).collect());
    }
    if returned.last().is_some_and(|w| singular(w) == "id") {
        return OutsiderFields::None;
    }
    let fields: Vec<&str> = if speaks_of(SHARED) {
        AUTHORED.to_vec()
    } else if speaks_of(LEDGERS) {
        [PROSE, PAYERS].concat()
    } else if speaks_of(DIRECTORIES) {
        PROSE.to_vec()
    } else {
        [PROSE, ADDRESSES].concat()
    };
    let bare = lists_names(name).then(|| BARE.to_owned());
    OutsiderFields::Paths(fields.iter().map(|f| format!("**.{f}")).chain(bare).collect())
}

/// Excepts what is no field from what outsiders write.
const BARE: &str = "!";

/// True when a tool lists what operators name, or who is in a directory.
fn lists_names(name: &[String]) -> bool {
    let returned: Vec<&String> = name.iter().take_while(|w| !QUALIFIERS.contains(&w.as_str())).collect();
    let (Some(verb), Some(object)) = (returned.first(), returned.last()) else { return false };
    let is_many = verb.as_str() == "list" || singular(object) != object.as_str();
    let is_operated = [OPERATED, DIRECTORIES].iter().any(|list| list.split(' ').any(|noun| noun == singular(object)));
    returned.len() > 1 && LISTS.contains(&verb.as_str()) && is_many && is_operated
}

/// True when the tool gives back what it is given: names have their verb at the beginning or at the end.
fn transforms(name: &[String]) -> bool {
    let mut ends = name.first().into_iter().chain(if reads(name) { None } else { name.last() });
    ends.any(|word| TRANSFORMS.contains(&word.as_str()))
}

fn reads(name: &[String]) -> bool {
    name.first().is_some_and(|word| LISTS.contains(&word.as_str()))
}

/// True when the service lists its places, or who is in one of them. `words` are all that say what is returned.
fn lists_places(name: &[String], words: &[&str]) -> bool {
    let at = name.iter().position(|w| QUALIFIERS.contains(&w.as_str())).unwrap_or(name.len());
    let (returned, of) = name.split_at(at);
    // Of a noun that has a place for an adjective, the place says whose it is: `channel messages`.
    let [verb, object] = returned else { return false };
    let is_place = |word: &String| PLACES.contains(&singular(word));
    let is_member = |word: &String| MEMBERS.contains(&singular(word));
    let is_listed =
        singular(object) != object.as_str() && (is_place(object) || (is_member(object) && of.iter().any(is_place)));
    LISTS.contains(&verb.as_str()) && is_listed && !words.iter().any(|word| WRITTEN.contains(word))
}

/// Verbs of tools that list what there is.
const LISTS: &[&str] = &["get", "list"];
/// Places in which people write.
const PLACES: &[&str] = &["channel", "chat", "room", "group", "workspace", "server", "forum"];
/// Who is in them.
const MEMBERS: &[&str] = &["user", "member", "participant"];
/// What is written there.
const WRITTEN: &[&str] = &[
    "message",
    "post",
    "content",
    "comment",
    "text",
    "topic",
    "description",
    "thread",
    "history",
    "transcript",
    "conversation",
];
/// Verbs of tools that return what they are given in another form.
const TRANSFORMS: &[&str] =
    &["decode", "encode", "convert", "translate", "transform", "parse", "format", "extract", "render", "reverse"];

/// Words of a name behind which it no longer says what the tool returns.
const QUALIFIERS: &[&str] = &["by", "for", "from", "with", "of", "in", "to"];

/// Words of a description that say what the tool returns; what follows are details.
const LEAD_WORDS: usize = 12;
