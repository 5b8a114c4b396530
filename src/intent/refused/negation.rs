//! The words by which English refuses: negations of a clause, and exceptions.

use super::Sentence;
use super::prose::Pause;

/// A negation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Negation {
    pub(super) scope: Scope,
    /// The place behind it.
    pub(super) behind: usize,
}

/// What it negates, beside what follows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// What is said of a subject: that is refused, too.
    Predicate,
    /// The whole clause: nothing comes of what it asks for.
    Clause,
    /// No more than the part that follows.
    Part,
    /// A thing that is taken out.
    Thing,
    /// Nothing: it is turned round at once (`do not forget`), or says only how much or when (`no later than`).
    Cancelled,
}

/// The negation that begins with that word of the sentence.
pub(super) fn at(sentence: &Sentence<'_>, at: usize) -> Option<Negation> {
    let (word, next) = (sentence.plain(at), at + 1);
    let before = |list: &str| at.checked_sub(1).is_some_and(|before| sentence.is(before, list));
    let found = |scope| Some(Negation { scope, behind: next });
    if word == "not" || word == "never" || is_negated_verb(word) {
        return Some(of_verb(sentence, at));
    }
    if holds(QUANTIFIERS, word) {
        let number = sentence.plain(next).starts_with(|c: char| c.is_ascii_digit());
        return match word {
            "no" if number || sentence.is(next, MEASURES) => found(Scope::Cancelled),
            // `with no …` says no more than `without`.
            _ if before("with") => found(Scope::Thing),
            _ => found(Scope::Clause),
        };
    }
    if holds(EXCEPTIONS, word) {
        let idle = word == "without" && sentence.is(next, "fail delay exception question doubt further");
        return found(if idle { Scope::Cancelled } else { Scope::Thing });
    }
    if TWO_WORDS.iter().any(|(one, two)| *one == word && *two == sentence.plain(next)) {
        return Some(Negation { scope: Scope::Thing, behind: next + 1 });
    }
    if word == "but" {
        // `everyone but …`
        let all = (0..at).any(|at| sentence.is(at, UNIVERSALS));
        let close = sentence.pause(at) < Pause::Comma || sentence.is_value(next);
        return if all && close && !sentence.begins_clause(next) { found(Scope::Thing) } else { None };
    }
    if holds(REFUSING, word) {
        return found(Scope::Thing);
    }
    if holds(REFUSED, word) {
        return found(Scope::Predicate);
    }
    if holds("stop cease quit", word) && sentence.plain(next).ends_with("ing") {
        return found(Scope::Thing);
    }
    // `keep … out of it`, `hide … from`
    let soon = |list: &str| (next..next + PARTICLE_DISTANCE).any(|at| sentence.is(at, list));
    let of_thing = holds(KEEPING, word) && soon("out off away") || holds(HIDING, word) && soon("from");
    match holds("kept left", word) && soon("out off away") {
        true => found(Scope::Predicate),
        false if of_thing => found(Scope::Thing),
        false => None,
    }
}

/// A negation that goes with a verb, or with a part of what it is about.
fn of_verb(sentence: &Sentence<'_>, at: usize) -> Negation {
    let (word, next) = (sentence.plain(at), at + 1);
    let before = |list: &str| at.checked_sub(1).is_some_and(|before| sentence.is(before, list));
    // `if not, …` stands for what was said before.
    if before("if or whether") && sentence.word(next).is_none_or(|w| w.before >= Pause::Comma) {
        return Negation { scope: Scope::Cancelled, behind: next };
    }
    let mut turned = next;
    while sentence.is(turned, FILLERS) || sentence.is(turned, "to") {
        turned += 1;
    }
    if sentence.is(turned, UNREFUSED) || sentence.is(turned, REFUSING) {
        return Negation { scope: Scope::Cancelled, behind: turned + 1 };
    }
    let part = word == "not" && !before(MODALS) && !before(COPULAS);
    let scope = match part {
        true if sentence.is(next, MEASURES) => Scope::Cancelled,
        true => Scope::Part,
        false => Scope::Predicate,
    };
    Negation { scope, behind: next }
}

/// True when a list of words, parted by spaces, holds the word.
pub(super) fn holds(list: &str, word: &str) -> bool {
    list.split(' ').any(|w| w == word)
}

fn is_negated_verb(word: &str) -> bool {
    word.ends_with("n't") || word == "cannot" || word.strip_suffix("nt").is_some_and(|verb| holds(CONTRACTED, verb))
}

/// How far behind its verb a particle may stand.
const PARTICLE_DISTANCE: usize = 6;
/// Verbs that are often written together with their negation, and without its apostrophe.
const CONTRACTED: &str = "do does did ca wo should must is are was were has have had could would need";
/// Words that negate the clause in which they stand.
const QUANTIFIERS: &str = "no none nobody nothing nowhere neither nor";
/// Words that take something out.
const EXCEPTIONS: &str = "without except excepting excluding barring minus unless";
/// Pairs of words that do so.
const TWO_WORDS: &[(&str, &str)] = &[
    ("instead", "of"),
    ("rather", "than"),
    ("other", "than"),
    ("apart", "from"),
    ("aside", "from"),
    ("away", "from"),
    ("opposed", "to"),
    ("lieu", "of"),
    ("place", "of"),
    ("exception", "of"),
    ("off", "limits"),
    ("hands", "off"),
];
/// Words for all there are, from which something can be taken out.
const UNIVERSALS: &str = "all any every each everyone everybody everything anyone anybody anything";
/// Verbs that refuse what follows.
const REFUSING: &str = "avoid avoids avoiding refrain refraining exclude excludes omit omits omitting skip skips skipping \
    ignore ignores ignoring forbid forbids forbidding prohibit prohibits prohibiting disallow disallows withhold withholding \
    refuse refuses refusing";
/// The same of what they are said of.
const REFUSED: &str =
    "avoided excepted excluded omitted skipped ignored forbidden prohibited disallowed withheld banned off-limits";
/// Verbs that refuse together with where something is kept.
const KEEPING: &str = "keep leave keeping leaving";
/// Verbs that refuse together with whom something is kept from.
const HIDING: &str = "keep keeping hide hiding conceal concealing protect protecting";
/// Words that make a refusal a request.
const UNREFUSED: &str = "forget fail hesitate miss neglect only just merely";
/// Words behind which a negation says how much or when.
const MEASURES: &str =
    "later more less fewer sooner earlier before after until exceeding matter doubt problem problems";
/// Words that say nothing about what is refused.
pub(super) const FILLERS: &str = "ever again please however also even really yet still now then at all";
/// Words that lead over to what is asked for.
pub(super) const LEADS: &str = "so therefore thus hence then please kindly instead rather otherwise just simply now";
/// Words with which a clause begins that says what somebody is to do.
pub(super) const SUBJECTS: &str = "i we you let's i'm i've i'd we've we'd";
/// Verbs that stand before a verb, or before its subject in a question.
pub(super) const MODALS: &str = "do does did can could may might must shall should will would need";
/// Verbs that take a negation without another verb.
const COPULAS: &str = "be been am is are was were has have had";
/// Words with which a clause begins that is part of another.
pub(super) const SUBORDINATORS: &str =
    "if when whenever while unless because since as although though until once where whether";
/// Words behind which another clause begins.
pub(super) const OPENERS: &str = "if when whenever while unless because since although though until once where whether that \
    which who whom whose why how what as but so sure ensure i we he she they there i'm i've i'll i'd we're we've we'll he's she's \
    they're there's";
/// Words that stand before a place, a time or a manner.
pub(super) const PREPOSITIONS: &str = "to into at from in on with for under by of about over via through within during \
    regarding concerning as towards toward upon after before";
