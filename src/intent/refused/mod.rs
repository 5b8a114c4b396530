//! What an intent says is not to be done: a value that it names only there is named, and not asked for.

// English says no with few words, and they are a closed class. What they refuse is read off the sentence, and where that cannot
// be told, the value is doubtful: the cost is one review, and the other mistake sends something to whom it was kept from.
//
// * A negation refuses what follows it to the end of its sentence, lists and brackets included: a comma alone ends nothing,
//   because it may enclose a phrase (`never, under any circumstances, …`) or go on with a list.
// * It ends before that where a clause of its own begins that asks for something: behind a pause, with a verb or its subject,
//   when something was refused by then; surely so behind `but`, `please`, `then` and their like, or behind a phrase that was
//   put in front (`If it is not there, …`); without those only where no `and` or `or` makes the clauses one list.
// * The negation of a whole clause refuses its subject as well (`… must not get this`, `… gets nothing`), and what was put in
//   front of it (`As for …, do not …`). An exception (`except`, `without`, `instead of`) refuses only what follows.
// * What is quoted or in brackets says nothing about what is around it.

use std::borrow::Cow;

use self::negation::{Negation, Scope};
use self::prose::{Pause, Word};

mod negation;
mod prose;

/// Longest sentence that is read word by word, against what stands around each. A longer one is no prose that somebody wrote to be
/// understood: where it refuses anything, it refuses all of it.
const SENTENCE_WORDS_MAX: usize = 256;
/// The same of negations in one sentence: each is held against what stands before it.
const NEGATIONS_MAX: usize = 16;
/// Deepest quotes and brackets that are read. What stands deeper is taken for refused.
const DEPTH_MAX: usize = 8;

/// The prose without what it refuses.
pub(super) fn affirmed(text: &str) -> Cow<'_, str> {
    let words = prose::words(text);
    let mut refused = vec![false; words.len()];
    let deepest = words.iter().map(|w| w.depth).max().unwrap_or(0);
    for (word, refused) in words.iter().zip(&mut refused) {
        *refused = word.depth > DEPTH_MAX;
    }
    for depth in 0..=deepest.min(DEPTH_MAX) {
        let mut lead = false;
        for group in groups(&words, depth) {
            for sentence in prose::sentences(&words, &group) {
                let first = sentence.first().and_then(|at| words.get(*at));
                lead = match first {
                    // The items of a list go on with what leads up to it.
                    Some(first) if first.before == Pause::Item => lead,
                    _ => false,
                };
                lead = Sentence::new(&words, &sentence, &mut refused).read(lead);
            }
        }
    }
    if !refused.contains(&true) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    out.push_str(words.first().and_then(|w| text.get(..w.start)).unwrap_or(""));
    for (word, refused) in words.iter().zip(&refused) {
        // Something stands in its place, so that what is left and right of it does not come together.
        out.push_str(if *refused { "\n" } else { word.raw });
    }
    Cow::Owned(out)
}

/// The stretches of that depth, each with the words that are of just this depth: the whole text, or what stands in a pair of
/// quotes or brackets.
fn groups(words: &[Word<'_>], depth: usize) -> Vec<Vec<usize>> {
    let mut out: Vec<Vec<usize>> = Vec::new();
    let mut inside = false;
    for (at, word) in words.iter().enumerate() {
        if word.depth < depth || word.opens && word.depth == depth {
            inside = false;
        }
        if word.depth == depth {
            match out.last_mut() {
                Some(group) if inside => group.push(at),
                _ => out.push(vec![at]),
            }
            inside = true;
        }
    }
    out
}

/// What is being refused.
#[derive(Debug, Clone, Copy)]
struct Refusal {
    /// What is refused has been named, so that something else can follow.
    landed: bool,
    /// By more than one word, or by a value.
    full: bool,
    /// It refuses a thing and no deed: a verb behind it is another request.
    nominal: bool,
    /// The phrase stands before the clause that asks for something.
    preposed: bool,
    /// Where the phrase between pauses begins that is being read.
    phrase: usize,
    /// That phrase is not the one with the negation.
    later: bool,
}

/// One sentence, and what is found to be refused in it. Places in it are numbers of its own words.
struct Sentence<'a> {
    all: &'a [Word<'a>],
    own: &'a [usize],
    refused: &'a mut [bool],
}

impl<'a> Sentence<'a> {
    const fn new(all: &'a [Word<'a>], own: &'a [usize], refused: &'a mut [bool]) -> Self {
        Self { all, own, refused }
    }

    /// Finds what it refuses. `lead` says that it is the item of a list of what is refused; so is the answer, for what follows.
    fn read(mut self, lead: bool) -> bool {
        // Whether a `but` takes something out would have to be looked for in all that is before it.
        let refuses = |at: &usize| matches!(self.plain(*at), "but") || negation::at(&self, *at).is_some();
        let most = if self.own.len() > SENTENCE_WORDS_MAX { 0 } else { NEGATIONS_MAX };
        let refusals = (0..self.own.len()).filter(refuses).take(most + 1).count();
        if refusals > most || self.own.len() > SENTENCE_WORDS_MAX {
            let refuses = lead || refusals > 0;
            if refuses {
                self.refuse(0, self.own.len());
            }
            return lead || refuses && self.leads_on();
        }
        let listed = Refusal { landed: true, full: true, nominal: true, preposed: false, phrase: 0, later: false };
        let mut refusing = lead.then_some(listed);
        let mut passed = 0;
        for at in 0..self.own.len() {
            refusing = refusing.filter(|r| !(self.ends(r, at) || r.landed && self.turns(r, at)));
            if let Some(r) = refusing.as_mut().filter(|_| at > 0 && self.pause(at) >= Pause::Comma) {
                (r.phrase, r.later) = (at, true);
            }
            let negated = if at < passed { None } else { negation::at(&self, at) };
            if let Some(negation) = &negated {
                passed = negation.behind;
                refusing = self.negate(at, negation, refusing);
            } else if let Some(r) = refusing.as_mut().filter(|_| at >= passed) {
                self.land(r, at);
            }
            if refusing.is_some() {
                self.refuse(at, at + 1);
            }
        }
        lead || refusing.is_some() && self.leads_on()
    }

    /// What is being refused behind a negation.
    fn negate(&mut self, at: usize, negation: &Negation, refusing: Option<Refusal>) -> Option<Refusal> {
        if negation.scope == Scope::Cancelled {
            return refusing;
        }
        if matches!(negation.scope, Scope::Predicate | Scope::Clause) {
            self.refuse_subject(at, negation.scope);
        }
        // What is put into a refusal says no more than that it is one (`never, not even …, send`).
        let nominal = negation.scope == Scope::Thing;
        let preposed = self.is_preposed(at, nominal);
        // `under no circumstances` only says how.
        let how = at.checked_sub(1).filter(|before| !nominal && self.is(*before, negation::PREPOSITIONS));
        let phrase = how.unwrap_or(negation.behind);
        let begun = Refusal { landed: nominal, full: nominal, nominal, preposed, phrase, later: false };
        refusing.filter(|r| !r.landed).or(Some(begun))
    }

    fn plain(&self, at: usize) -> &str {
        self.word(at).map_or("", |w| w.plain.as_str())
    }

    fn word(&self, at: usize) -> Option<&Word<'a>> {
        self.own.get(at).and_then(|at| self.all.get(*at))
    }

    fn pause(&self, at: usize) -> Pause {
        self.word(at).map_or(Pause::Stop, |w| w.before)
    }

    fn is(&self, at: usize, list: &str) -> bool {
        negation::holds(list, self.plain(at))
    }

    fn is_value(&self, at: usize) -> bool {
        self.word(at).is_some_and(Word::is_value)
    }

    /// Marks the words from one up to another, with what stands in brackets between them.
    fn refuse(&mut self, from: usize, to: usize) {
        let Some(&first) = self.own.get(from) else { return };
        let end = self.own.get(to).copied().unwrap_or_else(|| {
            let depth = self.all.get(first).map_or(0, |w| w.depth);
            let last = self.own.last().copied().unwrap_or(first);
            let inner =
                self.all.iter().skip(last + 1).take_while(|w| w.depth > depth && w.before < Pause::Stop).count();
            last + 1 + inner
        });
        self.refused.iter_mut().take(end).skip(first).for_each(|refused| *refused = true);
    }

    /// True when the refusal does not reach beyond the pause before that word.
    fn ends(&self, refusal: &Refusal, at: usize) -> bool {
        let paused = at > 0 && self.pause(at) >= Pause::Comma && self.pause(at) != Pause::Colon;
        if !refusal.landed || !paused {
            return false;
        }
        let mut begin = at;
        while self.is(begin, negation::LEADS) {
            begin += 1;
        }
        if !self.begins_clause(begin) {
            return false;
        }
        let listed = (begin..self.own.len()).any(|at| self.is(at, "and or nor"));
        begin > at || refusal.preposed || self.pause(at) == Pause::Semicolon || refusal.full && !listed
    }

    fn begins_clause(&self, at: usize) -> bool {
        self.is(at, negation::SUBJECTS) || self.is(at, negation::MODALS) || super::fit::is_verb(self.plain(at))
    }

    /// True for a word that turns from what is refused to what is asked for.
    fn turns(&self, refusal: &Refusal, at: usize) -> bool {
        let joined = || at.checked_sub(1).is_some_and(|before| self.is(before, "and then"));
        self.plain(at) == "but"
            || self.is(at, "instead rather") && self.begins_clause(at + 1)
            || refusal.nominal && super::fit::is_only_verb(self.plain(at)) && joined()
    }

    /// Takes note of whether something was refused by then. What a pause encloses, and what only says how or when, does not.
    fn land(&self, refusal: &mut Refusal, at: usize) {
        let mut first = refusal.phrase;
        while first < at && self.is(first, negation::FILLERS) {
            first += 1;
        }
        let aside = self.is(first, negation::PREPOSITIONS)
            || self.is(first, negation::SUBORDINATORS)
            || self.is(first, "and or not never nor")
            || refusal.later && at == first;
        if self.is_value(at) {
            (refusal.landed, refusal.full) = (true, true);
        } else if refusal.landed {
            refusal.full = true;
        } else if !aside && !self.is(at, negation::FILLERS) {
            refusal.landed = true;
        }
    }

    /// True when the phrase with that word stands before the clause that it belongs to.
    fn is_preposed(&self, at: usize, nominal: bool) -> bool {
        let mut begin = self.phrase_of(at);
        let first = begin == 0;
        while begin < at && (self.is(begin, negation::LEADS) || self.is(begin, "and or but")) {
            begin += 1;
        }
        let in_case = self.plain(begin) == "in" && self.plain(begin + 1) == "case";
        self.is(begin, negation::SUBORDINATORS) || in_case || first && nominal && begin == at
    }

    /// Where the phrase between pauses begins in which that word stands.
    fn phrase_of(&self, at: usize) -> usize {
        (1..=at).rev().find(|at| self.pause(*at) >= Pause::Comma).unwrap_or(0)
    }

    /// The clause that is negated at that word: its subject, and what was put in front of it.
    fn refuse_subject(&mut self, at: usize, scope: Scope) {
        let phrase = self.phrase_of(at);
        let opened = (phrase..at).rev().find(|at| self.is(*at, negation::OPENERS)).map_or(phrase, |at| at + 1);
        let verb = (opened..at).find(|at| !self.is(*at, negation::LEADS)).unwrap_or(at);
        let joined = (opened..at).rev().find(|at| self.is(*at, "and or")).map(|at| at + 1);
        // Another request comes before it: what that one names is asked for, but where it is that one which comes to nothing.
        let mut from = match (self.asks(verb), scope) {
            (false, _) => opened,
            (true, Scope::Clause) => joined.unwrap_or(opened),
            (true, _) => joined.unwrap_or(at),
        };
        if from == phrase {
            let led = (phrase..at).all(|at| self.is(at, negation::LEADS) || self.is(at, negation::MODALS));
            while from > 0 {
                let before = self.phrase_of(from - 1);
                let in_front = self.is(before, negation::PREPOSITIONS) || self.plain(before) == "as";
                let fronted = (led || scope == Scope::Clause) && before == 0 && in_front;
                if !self.is_value(before) && !fronted {
                    break;
                }
                from = before;
            }
        }
        self.refuse(from, at);
        let mut subject = from;
        while from == at && subject > 0 && self.is(subject - 1, negation::MODALS) {
            subject -= 1;
        }
        self.refuse_marked_before(subject);
    }

    /// What stands in quotes or brackets right before that word belongs to its clause: a place is often marked.
    fn refuse_marked_before(&mut self, at: usize) {
        let Some(&first) = self.own.get(at) else { return };
        let before = self.all.get(..first).unwrap_or_default();
        let Some(word) = self.all.get(first).filter(|word| word.before < Pause::Stop) else { return };
        let marked = before.iter().rev().take_while(|w| w.depth > word.depth).count();
        self.refused.iter_mut().take(first).skip(first - marked).for_each(|refused| *refused = true);
    }

    /// True when that word is a verb with which something is asked for, and no noun.
    fn asks(&self, at: usize) -> bool {
        let word = self.plain(at);
        let object = self.is_value(at + 1) || self.is(at + 1, DETERMINERS);
        !self.is(at, negation::MODALS) && (super::fit::is_only_verb(word) || super::fit::is_verb(word) && object)
    }

    /// True when a list may follow that goes on with it.
    fn leads_on(&self) -> bool {
        self.own.last().is_some_and(|last| self.all.get(last + 1).is_some_and(|next| next.colon))
    }
}

/// Words with which what a verb is about begins.
const DETERMINERS: &str = "the a an my our this that these those it them him her me us all every each";

#[cfg(test)]
mod tests;
