//! Colour, where a person looks; and text that others wrote, made harmless for a terminal.

use std::borrow::Cow;

/// Whether text is coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) struct Paint(bool);

/// What a colour means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Tone {
    /// It went as it should.
    Good,
    /// It needs a look.
    Caution,
    /// It was refused, or is broken.
    Bad,
    /// Less important than what stands beside it.
    Faint,
    /// More important than what stands beside it.
    Strong,
}

impl Paint {
    /// No colour at all.
    pub(in crate::cli) const NONE: Self = Self(false);

    /// Colours for a stream that is a terminal, unless `NO_COLOR` says otherwise (no-color.org) or the terminal has none.
    #[must_use]
    pub(in crate::cli) fn for_stream(is_terminal: bool) -> Self {
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self(is_terminal && !set("NO_COLOR") && !dumb)
    }

    /// The text in that tone.
    #[must_use]
    pub(in crate::cli) fn tone<'t>(self, tone: Tone, text: &'t str) -> Cow<'t, str> {
        if !self.0 || text.is_empty() {
            return Cow::Borrowed(text);
        }
        let code = match tone {
            Tone::Good => "32",
            Tone::Caution => "33",
            Tone::Bad => "31",
            Tone::Faint => "2",
            Tone::Strong => "1",
        };
        Cow::Owned(format!("\u{1b}[{code}m{text}\u{1b}[0m"))
    }
}

/// The tone of an outcome, a state or a band.
#[must_use]
pub(in crate::cli) fn tone_of(word: &str) -> Option<Tone> {
    Some(match word {
        "granted" | "live" | "active" | "low" | "accepted" => Tone::Good,
        "narrowed" | "step_up" | "review" | "suspended" | "paused" | "elevated" | "high" => Tone::Caution,
        "denied" | "revoked" | "critical" | "refused" => Tone::Bad,
        "completed" | "cancelled" | "expired" | "released" => Tone::Faint,
        _ => return None,
    })
}

/// Text with every control character escaped, so that what an agent wrote cannot command the terminal it is read on. Line ends
/// stay where `multiline` says so.
#[must_use]
pub(in crate::cli) fn harmless(text: &str, multiline: bool) -> Cow<'_, str> {
    // Besides C0 and C1: characters that reverse or hide what stands around them.
    let harmful = |c: char| {
        (c.is_control() && !(multiline && c == '\n'))
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
    };
    if !text.contains(harmful) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if harmful(c) { out.extend(c.escape_default()) } else { out.push(c) }
    }
    Cow::Owned(out)
}
