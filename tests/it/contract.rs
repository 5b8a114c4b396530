//! The protobuf contract, held to the rules of `proto/buf.yaml` where buf is absent, and to what was promised before: what the
//! wire once carried stays as it is or is reserved, and reason codes keep their numbers and names.

mod shape;

use std::collections::{BTreeMap, BTreeSet};

use carnet::model::reason::ReasonCode;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FileDescriptorProto};

use crate::golden;
use shape::{Message, Shape, is_lower_snake, is_pascal, is_upper_snake, shape, upper_snake};

#[test]
fn the_package_is_the_folder_and_ends_in_a_version() {
    for file in ours().files {
        let folder = file.name().rsplit_once('/').map_or("", |(folder, _)| folder);
        assert_eq!(file.package(), folder.replace('/', "."), "{}", file.name());
        let version = file.package().rsplit('.').next().unwrap().strip_prefix('v');
        assert!(version.is_some_and(|v| v.parse::<u32>().is_ok_and(|v| v > 0)), "{}: no version", file.name());
        assert!(is_lower_snake(&file.package().replace('.', "_")), "{}", file.package());
        assert_eq!(file.syntax(), "proto3", "{}", file.name());
        assert!(file.public_dependency.is_empty() && file.weak_dependency.is_empty(), "{}", file.name());
        let name = file.name().rsplit('/').next().unwrap().trim_end_matches(".proto");
        assert!(is_lower_snake(name), "{name}");
    }
}

#[test]
fn imports_are_used() {
    let shape = shape();
    let mut home: BTreeMap<String, String> = BTreeMap::new();
    for file in &shape.files {
        for name in Shape::of(file).type_names() {
            home.insert(name, file.name().to_owned());
        }
    }
    for file in &ours().files {
        let used: BTreeSet<&String> = Shape::of(file).named_types().iter().filter_map(|name| home.get(name)).collect();
        for import in &file.dependency {
            assert!(used.contains(import), "{} imports {import} and does not use it", file.name());
        }
    }
}

#[test]
fn services_end_in_service_and_each_rpc_has_its_own_messages() {
    let mut used = BTreeMap::new();
    let mut rpcs = 0;
    for file in &ours().files {
        for service in &file.service {
            // Operators implement that one, and it is named for what they implement.
            let ends = service.name().ends_with("Service") || service.name() == "RiskScorer";
            assert!(is_pascal(service.name()) && ends, "{}", service.name());
            for method in &service.method {
                rpcs += 1;
                let name = method.name();
                assert!(is_pascal(name), "{name}");
                // A stream takes what the RPC for one of them takes.
                if name == "ReportToolCalls" {
                    assert!(method.client_streaming());
                    assert_eq!(method.input_type(), format!(".{}.ReportToolCallRequest", file.package()));
                    assert_eq!(method.output_type(), format!(".{}.{name}Response", file.package()));
                    continue;
                }
                for (ty, suffix) in [(method.input_type(), "Request"), (method.output_type(), "Response")] {
                    assert_eq!(ty, format!(".{}.{name}{suffix}", file.package()), "{}/{name}", service.name());
                    let before = used.insert(ty.to_owned(), name.to_owned());
                    assert_eq!(before, None, "{ty} serves two RPCs");
                }
            }
        }
    }
    assert!(rpcs >= 25, "only {rpcs} RPCs were found");
}

#[test]
fn messages_and_fields_are_named_by_the_rules() {
    for Message { full_name, descriptor, .. } in ours().messages() {
        assert!(is_pascal(descriptor.name()), "{full_name}");
        for field in &descriptor.field {
            assert!(is_lower_snake(field.name()), "{full_name}.{}", field.name());
            assert_ne!(field.label(), Label::Required, "{full_name}.{}", field.name());
            assert_ne!(field.r#type(), Type::Group, "{full_name}.{}", field.name());
        }
        for oneof in &descriptor.oneof_decl {
            let synthetic = oneof.name().strip_prefix('_').unwrap_or(oneof.name());
            assert!(is_lower_snake(synthetic), "{full_name}.{}", oneof.name());
        }
    }
}

#[test]
fn enums_begin_unspecified_and_carry_their_prefix() {
    let shape = ours();
    let enums = shape.enums();
    assert!(!enums.is_empty());
    for (full_name, descriptor) in enums {
        assert!(is_pascal(descriptor.name()), "{full_name}");
        let prefix = upper_snake(descriptor.name());
        let first = descriptor.value.first().unwrap();
        assert_eq!((first.name(), first.number()), (format!("{prefix}_UNSPECIFIED").as_str(), 0), "{full_name}");
        for value in &descriptor.value {
            assert!(is_upper_snake(value.name()), "{full_name}: {}", value.name());
            assert!(value.name().starts_with(&format!("{prefix}_")), "{full_name}: {}", value.name());
        }
        assert!(!descriptor.options.as_ref().is_some_and(|o| o.allow_alias()), "{full_name} has aliases");
    }
}

/// Every field, value and RPC that a release had stands in the golden file; it is there still, or its number is reserved.
#[test]
fn what_the_wire_carried_is_still_there_or_reserved() {
    let now = ours();
    let lines: BTreeSet<String> = now.wire_lines().into_iter().collect();
    let reserved = now.reserved();
    for line in golden::read("wire.txt").lines() {
        let key = line.split(' ').take(2).collect::<Vec<_>>().join(" ");
        assert!(lines.contains(line) || reserved.contains(&key), "the wire lost or changed: {line}");
    }
    let mut text = now.wire_lines().join("\n");
    text.push('\n');
    golden::check("wire.txt", &text);
}

#[test]
fn a_lost_field_would_be_noticed() {
    let mut shape = ours();
    let before: BTreeSet<String> = shape.wire_lines().into_iter().collect();
    let message = first_message(&mut shape.files);
    let lost = message.field.remove(0);
    let after: BTreeSet<String> = shape.wire_lines().into_iter().collect();
    assert!(before.difference(&after).any(|line| line.contains(lost.name())));
}

#[test]
fn reason_codes_keep_their_numbers_and_names() {
    let mut numbers = BTreeSet::new();
    let mut text = String::new();
    for code in ReasonCode::ALL {
        assert!(numbers.insert(code.number()), "{} stands twice", code.number());
        assert!(is_upper_snake(code.as_str()), "{code}");
        text.push_str(&format!("{} {code}\n", code.number()));
    }
    let codes: BTreeSet<&str> = text.lines().collect();
    for was in golden::read("reasons.txt").lines() {
        let (number, name) = was.split_once(' ').unwrap();
        let reused = codes.iter().any(|c| c.starts_with(&format!("{number} ")) && !c.ends_with(&format!(" {name}")));
        assert!(!reused, "the number of {was} now means something else");
    }
    golden::check("reasons.txt", &text);
}

fn ours() -> Shape {
    let mut shape = shape();
    shape.files.retain(|file| file.name().starts_with("carnet/"));
    assert!(shape.files.len() >= 8, "the descriptors hold too few files");
    shape
}

fn first_message(files: &mut [FileDescriptorProto]) -> &mut DescriptorProto {
    files.iter_mut().find_map(|f| f.message_type.iter_mut().find(|m| !m.field.is_empty())).unwrap()
}
