//! The lexicon: plain English verbs and what they ask for. Reasons stand beside the groups. It was written from the verbs of
//! everyday requests, not from any set of tasks; where a word is doubtful, it says less.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use super::super::words::{self, Word};
use crate::model::access::Effect;
use crate::model::access::Effect::{Administer, Delete, Execute, Send, Spend, Write};

/// A verb and the effects that asking for it implies.
#[derive(Clone, Copy)]
pub(super) struct Verb {
    /// What it implies by itself; none when only a noun behind it says.
    pub(super) effects: &'static [Effect],
    /// True when the word is a noun as often: then it counts only where a verb stands.
    pub(super) noun_too: bool,
}

/// A verb that means something more together with a noun soon behind it.
pub(super) struct Pair {
    verbs: &'static str,
    nouns: &'static str,
    pub(super) effects: &'static [Effect],
}

impl Pair {
    /// True when the pair begins with that verb.
    pub(super) fn has_verb(&self, verb: &str) -> bool {
        holds(self.verbs, verb)
    }

    /// True when the pair ends with that noun.
    pub(super) fn has_noun(&self, noun: &str) -> bool {
        holds(self.nouns, noun)
    }
}

/// True when a list of words, parted by spaces, holds the word.
pub(super) fn holds(list: &str, word: &str) -> bool {
    list.split(' ').any(|w| w == word)
}

/// What the base form of a verb implies.
pub(super) fn verb(base: &str) -> Option<Verb> {
    VERBS.get(base).copied()
}

/// True for a word of tool and argument names that says nothing about what they are for.
pub(super) fn is_generic(word: &str) -> bool {
    GENERIC.contains(word)
}

static VERBS: LazyLock<HashMap<&'static str, Verb>> = LazyLock::new(|| {
    let of = |groups: &'static [(&'static str, &'static [Effect])], noun_too| {
        let verbs = move |(list, effects): &(&'static str, &'static [Effect])| {
            let effects = *effects;
            list.split(' ').map(move |verb| (verb, Verb { effects, noun_too }))
        };
        groups.iter().flat_map(verbs)
    };
    // A word of both lists is the doubtful one.
    of(PLAIN, false).chain(of(NOUNS_TOO, true)).collect()
});

/// Verbs that are hardly ever anything else.
const PLAIN: &[(&str, &[Effect])] = &[
    // Something is made or changed.
    (
        "create add write save append modify reschedule rename insert fill complete replace correct fix enter upload store \
         draft compose prepend attach organize organise adjust postpone revise rewrite overwrite mark tag label assign \
         redirect reorder merge populate convert translate move apply include",
        &[Write],
    ),
    // Something is taken away; it may be done by changing what holds it.
    ("remove cancel undo", &[Delete, Write]),
    ("delete erase discard trash purge wipe destroy clear drop shred unsend", &[Delete]),
    // Something goes to somebody.
    (
        "send forward publish notify inform respond deliver announce broadcast submit tweet dm cc bcc ping tell relay \
         disclose escalate",
        &[Send],
    ),
    // Telling people of something in a calendar or a group changes it and reaches them.
    ("invite", &[Send, Write, Administer]),
    // Money or goods move.
    ("pay buy purchase donate tip spend invest sell rent hire subscribe reimburse repay prepay", &[Spend]),
    ("withdraw deposit wire", &[Spend]),
    // A booking is an entry that costs, and so is changing what was bought.
    ("reserve rebook exchange refund swap upgrade downgrade redeem", &[Spend, Write]),
    // Who may do what.
    (
        "grant unlock authorize authorise enable disable configure allow permit ban promote demote whitelist blacklist \
         allowlist blocklist unblock deactivate activate unsubscribe suspend reinstate enrol enroll kick leave join",
        &[Administer, Write],
    ),
    ("revoke", &[Administer, Delete]),
    // Code and machines.
    ("execute compile launch", &[Execute]),
    // Where code runs is a right, too, and many services count it among them.
    ("deploy install restart reboot uninstall", &[Execute, Administer]),
    // These say what they mean with a noun only.
    ("make do give get take let turn put go keep have place initiate", &[]),
];

/// Words that are nouns as often as verbs.
const NOUNS_TOO: &[(&str, &[Effect])] = &[
    (
        "update change schedule note record log list plan set register copy file comment edit document review rate star \
         pin archive backup design extend",
        &[Write],
    ),
    ("email e-mail mail text message reply answer post contact call report page", &[Send]),
    // To share is to send and to let somebody in.
    ("share", &[Send, Administer]),
    ("book", &[Spend, Write]),
    ("order charge bill trade stake", &[Spend]),
    ("return", &[Spend, Write]),
    ("transfer", &[Spend, Send, Write]),
    ("lock block access mute open close dim", &[Administer, Write]),
    ("run start stop trigger build test play reset", &[Execute, Write]),
];

/// Verbs that say what they mean with their noun.
pub(super) const PAIRS: &[Pair] = &[
    Pair {
        verbs: "make do get place complete have set",
        nouns: "reservation booking payment purchase order donation deposit transfer bid",
        effects: &[Spend, Write],
    },
    Pair { verbs: "initiate send give", nouns: "payment money refund tip dollar euro", effects: &[Spend] },
    Pair {
        verbs: "make set put take get have keep schedule",
        nouns: "appointment meeting event reminder entry note list file document change copy account folder table alarm",
        effects: &[Write],
    },
    Pair {
        verbs: "give change update set get turn make reset add remove modify edit create let put",
        nouns: "access permission permit priority policy role right password setting privilege rule state member admin user \
                on off owner visibility profile",
        effects: &[Administer],
    },
    // Whoever is added to a meeting or a group hears of it.
    Pair {
        verbs: "add include put invite remove",
        nouns: "participant attendee guest invitee member people recipient group channel team colleague collaborator driver",
        effects: &[Send, Administer],
    },
    Pair { verbs: "let", nouns: "know", effects: &[Send] },
    // A letter that one is asked to write is meant to arrive; a draft is not.
    Pair { verbs: "write compose drop", nouns: "mail email e-mail message letter line", effects: &[Send, Write] },
    Pair { verbs: "get take", nouns: "rid down", effects: &[Delete] },
    Pair { verbs: "move put", nouns: "trash bin", effects: &[Delete] },
];

/// Words behind which a doubtful word is a verb.
pub(super) const LEADS: &str = "to and then please also or you just now first finally next kindly lastly afterwards let's \
    should must can could would so instead directly immediately again help i we afterward subsequently second third \
    secondly simply quickly but";

/// Words that show the doubtful word before them to be a noun.
pub(super) const AFTER_NOUN: &str = "from is was are were has have address addresses that which about and or sent received \
    number numbers with history status details account inbox list body";

/// True for a verb of telling with the person behind it.
pub(super) fn tells_me(verb: &str, behind: &[Word]) -> bool {
    let to_me = behind.first().is_some_and(|w| matches!(w.text.as_str(), "me" | "us"));
    to_me && holds("tell inform notify let give show get report", verb)
}

/// True when somebody is written to: the verb, and soon behind it an address.
pub(super) fn writes_to(verb: &str, behind: &[Word]) -> bool {
    let mut to = behind.iter().take(3).skip_while(|w| w.text != "to").skip(1);
    verb == "write" && to.next().is_some_and(|w| w.text.contains('@'))
}

/// The words that ask to be told something.
pub(super) fn told(sentence: &[Word]) -> Option<String> {
    let at = sentence.iter().enumerate().find(|(i, w)| tells_me(&w.text, sentence.get(i + 1..).unwrap_or(&[])));
    at.map(|(_, w)| format!("{} me", w.text))
}

/// Words that turn round the verb soon behind them. What the person will do, has done, or has in mind, is not asked of the
/// agent.
pub(super) const NEGATIONS: &str = "not don't dont doesn't never without avoid won't shouldn't mustn't needn't didn't i'll \
    we'll i've already myself ourselves looking planning hoping thinking considering going";

/// Words that ask to be told something.
pub(super) const READS: &str = "what who when where which how find show list summarize summarise summary read check search \
    look get fetch retrieve view compare explain describe recommend suggest identify count analyze analyse know browse is \
    are do does any";

/// Verbs with which one asks for something that changes nothing.
pub(super) const ASKS: &str = "find show list summarize summarise read check search look get fetch retrieve view compare \
    explain describe recommend suggest identify count analyze analyse browse ask use try see wait";

static GENERIC: LazyLock<HashSet<&'static str>> = LazyLock::new(|| {
    "get list view search find read fetch show retrieve check query lookup manage manager detail info information all by id \
     for in of the a to from tool data item with and on available saved current new my own name type service api load \
     describe status result value key number time date day user system agent"
        .split(' ')
        .collect()
});

/// Nouns for what somebody else may have written.
const SOURCES: &str = "email e-mail mail message file document doc page website site webpage url link note invoice bill letter \
    notice channel thread ticket issue review article recipe minutes attachment spreadsheet sheet readme post comment \
    instruction list inbox text report conversation chat transcript paper guide manual calendar event";

/// Nouns of [`SOURCES`] in which one also keeps things: what is put into them is not taken from them.
const KEPT: &str = "calendar event channel list inbox";

/// Pointers that say no more than where something is.
const PLACES: &str = "in on at of with";

/// Words by which one points at a source.
const POINTERS: &str = "from in on per by of with at as using based follow";

/// How far before a source its pointer may stand: `from the knowledge base article`.
const POINTER_DISTANCE: usize = 4;

/// The words of a sentence that tell the agent to take something from what it reads.
pub(super) fn source(sentence: &[Word]) -> Option<String> {
    for (at, word) in sentence.iter().enumerate() {
        let next = sentence.get(at + 1).map_or("", |w| w.text.as_str());
        let phrase = match word.text.as_str() {
            "based" => matches!(next, "on" | "off"),
            "according" => next == "to",
            "as" => holds("described specified mentioned instructed listed per stated", next),
            "specified" | "mentioned" | "described" | "listed" | "stated" | "outlined" => holds("in on by at", next),
            _ => false,
        };
        if phrase {
            return Some(format!("{} {next}", word.text));
        }
        let noun = words::singular(&word.text);
        let is_source =
            holds(SOURCES, noun) || holds(SOURCES, &word.text) || is_file(&word.text) || is_page(&word.text);
        let before = sentence.get(at.saturating_sub(POINTER_DISTANCE)..at).unwrap_or(&[]);
        let kept = holds(KEPT, noun);
        let pointer = before.iter().find(|w| holds(POINTERS, &w.text) && !(kept && holds(PLACES, &w.text)));
        if let (true, Some(pointer)) = (is_source, pointer) {
            return Some(format!("{} … {}", pointer.text, word.text));
        }
    }
    None
}

/// The words of a sentence that leave it to something else which actions are taken.
pub(super) fn open(sentence: &[Word]) -> Option<String> {
    // Tasks that stand in the intent itself are no open end.
    if sentence.iter().any(|w| matches!(w.text.as_str(), "following" | "below")) {
        return None;
    }
    for (at, word) in sentence.iter().enumerate() {
        let objects = match word.text.as_str() {
            "do" | "perform" | "carry" | "complete" | "take" | "execute" | "handle" | "finish" => {
                "action what everything task step instruction whatever todo to-do"
            }
            "follow" => "instruction step direction guide what order",
            _ => continue,
        };
        let mut behind = sentence.get(at + 1..).unwrap_or(&[]).iter().take(4);
        if let Some(object) = behind.find(|w| holds(objects, words::singular(&w.text))) {
            return Some(format!("{} … {}", word.text, object.text));
        }
    }
    None
}

/// True for a web address, as it is left of one in the words of a sentence: without its scheme.
fn is_page(word: &str) -> bool {
    let (host, path) = word.split_once('/').unwrap_or((word, ""));
    let is_host = host.contains('.') && !host.contains('@') && host.split('.').all(|label| !label.is_empty());
    is_host && (!path.is_empty() || host.starts_with("www."))
}

fn is_file(word: &str) -> bool {
    let extension = word.rsplit_once('.').map_or("", |(_, e)| e);
    (2..=4).contains(&extension.len()) && extension.bytes().all(|b| b.is_ascii_alphanumeric()) && !word.contains('@')
}

/// The words that speak of a class of data: of the usual kinds, and the class's own name.
pub(super) fn class_words(class: &str) -> Vec<String> {
    let own = words::name_words(class);
    let kinds = CLASSES.iter().filter(|(names, _)| own.iter().any(|w| holds(names, w)));
    let mut out: Vec<String> = kinds.flat_map(|(_, words)| words.split(' ').map(str::to_owned)).collect();
    out.extend(own.iter().map(|w| words::singular(w).to_owned()));
    out
}

/// Usual names of data classes, and the words by which an intent speaks of such data.
const CLASSES: &[(&str, &str)] = &[
    (
        "pii personal identity profile contact",
        "personal profile contact address phone passport birthday identity guest customer member patient employee user \
         account",
    ),
    (
        "financial finance payment bank money",
        "bank account pay payment card invoice bill balance transaction transfer money fund holding invest investment \
         stock portfolio payee salary saving loan credit debit spend spent spending budget refund wallet tax rent",
    ),
    (
        "health medical phi clinical",
        "health medical patient clinical doctor diagnosis medication medicine prescription treatment appointment hospital \
         allergy symptom therapy",
    ),
    (
        "credential credentials secret secrets auth",
        "password passcode code token secret credential login key security pin auth",
    ),
    ("location activity history surveillance", "history location activity log access visit track where"),
];
