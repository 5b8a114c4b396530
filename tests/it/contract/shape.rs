//! The descriptors, laid out flat, and the spellings that names must have.

use std::collections::BTreeSet;

use carnet::pb::DESCRIPTORS;
use prost::Message as _;
use prost_types::{DescriptorProto, EnumDescriptorProto, FileDescriptorProto, FileDescriptorSet};

/// Some files of the contract.
pub struct Shape {
    pub files: Vec<FileDescriptorProto>,
}

/// A message with its full name.
pub struct Message<'a> {
    pub full_name: String,
    pub descriptor: &'a DescriptorProto,
}

/// Every file that was compiled.
pub fn shape() -> Shape {
    Shape { files: FileDescriptorSet::decode(DESCRIPTORS).unwrap().file }
}

impl Shape {
    pub fn of(file: &FileDescriptorProto) -> Self {
        Self { files: vec![file.clone()] }
    }

    /// Every message, nested ones too.
    pub fn messages(&self) -> Vec<Message<'_>> {
        let mut out = Vec::new();
        for file in &self.files {
            file.message_type.iter().for_each(|message| nested(file.package(), message, &mut out));
        }
        out
    }

    /// Every enum, nested ones too, with its full name.
    pub fn enums(&self) -> Vec<(String, &EnumDescriptorProto)> {
        let mut out = Vec::new();
        for file in &self.files {
            out.extend(file.enum_type.iter().map(|e| (format!("{}.{}", file.package(), e.name()), e)));
        }
        for Message { full_name, descriptor } in self.messages() {
            out.extend(descriptor.enum_type.iter().map(|e| (format!("{full_name}.{}", e.name()), e)));
        }
        out
    }

    /// Names of the types that these files define, as fields name them.
    pub fn type_names(&self) -> Vec<String> {
        let messages = self.messages().into_iter().map(|m| m.full_name);
        messages.chain(self.enums().into_iter().map(|(name, _)| name)).map(|name| format!(".{name}")).collect()
    }

    /// Names of the types that these files use.
    pub fn named_types(&self) -> BTreeSet<String> {
        let mut out = BTreeSet::new();
        for message in self.messages() {
            out.extend(message.descriptor.field.iter().map(|f| f.type_name().to_owned()));
        }
        for method in self.files.iter().flat_map(|f| &f.service).flat_map(|s| &s.method) {
            out.extend([method.input_type().to_owned(), method.output_type().to_owned()]);
        }
        out
    }

    /// One line for each field, enum value and RPC: `message number name type`, sorted.
    pub fn wire_lines(&self) -> Vec<String> {
        let mut out = Vec::new();
        for Message { full_name, descriptor } in self.messages() {
            for f in &descriptor.field {
                let kind = if f.type_name.is_some() { f.type_name() } else { f.r#type().as_str_name() };
                let label = f.label().as_str_name().trim_start_matches("LABEL_").to_ascii_lowercase();
                out.push(format!("{full_name} {:03} {} {label} {kind}", f.number(), f.name()));
            }
        }
        for (full_name, descriptor) in self.enums() {
            out.extend(descriptor.value.iter().map(|v| format!("{full_name} {:03} {}", v.number(), v.name())));
        }
        for file in &self.files {
            for service in &file.service {
                for m in &service.method {
                    let stream = if m.server_streaming() { " stream" } else { "" };
                    out.push(format!("{}.{} rpc {}{stream}", file.package(), service.name(), m.name()));
                }
            }
        }
        out.sort();
        out
    }

    /// `message number` of everything that is reserved.
    pub fn reserved(&self) -> BTreeSet<String> {
        let mut out = BTreeSet::new();
        for Message { full_name, descriptor } in self.messages() {
            for range in &descriptor.reserved_range {
                out.extend((range.start()..range.end()).map(|n| format!("{full_name} {n:03}")));
            }
        }
        for (full_name, descriptor) in self.enums() {
            for range in &descriptor.reserved_range {
                out.extend((range.start()..=range.end()).map(|n| format!("{full_name} {n:03}")));
            }
        }
        out
    }
}

fn nested<'a>(scope: &str, message: &'a DescriptorProto, out: &mut Vec<Message<'a>>) {
    let full_name = format!("{scope}.{}", message.name());
    message.nested_type.iter().for_each(|inner| nested(&full_name, inner, out));
    out.push(Message { full_name, descriptor: message });
}

pub fn is_pascal(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_uppercase()) && name.chars().all(|c| c.is_ascii_alphanumeric())
}

pub fn is_lower_snake(name: &str) -> bool {
    is_snake(name, |c| c.is_ascii_lowercase())
}

pub fn is_upper_snake(name: &str) -> bool {
    is_snake(name, |c| c.is_ascii_uppercase())
}

fn is_snake(name: &str, letter: impl Fn(char) -> bool) -> bool {
    name.starts_with(&letter)
        && !name.ends_with('_')
        && !name.contains("__")
        && name.chars().all(|c| letter(c) || c.is_ascii_digit() || c == '_')
}

/// `GrantState` → `GRANT_STATE`.
pub fn upper_snake(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.push(c.to_ascii_uppercase());
    }
    out
}
