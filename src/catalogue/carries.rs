//! What the calls of a tool bring into a session: the sensitive classes of the catalogue, and those that an agent names.

use super::tool::{Catalogue, Tool};
use crate::model::access::Effect;
use crate::model::id::DataClass;

/// The class that stands for all that an agent names and no catalogue declares: what it makes up is not told on.
const UNDECLARED: &str = "undeclared";

impl Tool {
    /// The sensitive classes that its calls bring into a session. What a tool changes or sends is not read by that, whatever data it
    /// touches; what runs code may answer with anything.
    pub fn carries(&self) -> impl Iterator<Item = &DataClass> {
        self.sensitive.iter().filter(|_| self.brings_data())
    }

    const fn brings_data(&self) -> bool {
        matches!(self.effect, Effect::Read | Effect::Execute)
    }
}

impl Catalogue {
    /// Of the classes that an agent says a call touches, the sensitive ones that the call brings into a session.
    pub fn carries_named(&self, tool: Option<&Tool>, named: &[DataClass]) -> impl Iterator<Item = DataClass> {
        let brings = tool.is_none_or(Tool::brings_data);
        named.iter().filter(move |class| brings && self.is_sensitive(class)).map(move |class| {
            let undeclared = || UNDECLARED.parse().unwrap_or_else(|_| class.clone());
            if self.declares(class.as_str()) { class.clone() } else { undeclared() }
        })
    }
}

#[cfg(test)]
mod tests;
