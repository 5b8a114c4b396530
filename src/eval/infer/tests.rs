//! What is inferred from names and schemas, and that it can be written down and read again.

use serde_json::json;

use super::*;
use crate::infer::text;
use crate::model::sink::SinkKind;

fn line(tool: &str, class: &str, parameters: serde_json::Value, required: &[&str]) -> ToolLine {
    ToolLine {
        suite: "shop".to_owned(),
        tool: tool.to_owned(),
        description: "Does what it is named for.".to_owned(),
        parameters,
        required: required.iter().map(|r| (*r).to_owned()).collect(),
        action_class: class.to_owned(),
    }
}

fn sinks_of(name: &str, class: &str, parameters: serde_json::Value, required: &[&str]) -> Vec<(String, SinkKind)> {
    let inferred = tool(&line(name, class, parameters, required)).unwrap();
    inferred.sinks.into_iter().map(|s| (s.name, s.kind)).collect()
}

#[test]
fn classes_become_effects_and_what_nobody_classed_may_do_anything() {
    let rows = [
        ("read", Effect::Read),
        ("write", Effect::Write),
        ("delete", Effect::Delete),
        ("move_data", Effect::Send),
        ("spend_money", Effect::Spend),
        ("admin", Effect::Administer),
        ("unknown", Effect::Execute),
        ("", Effect::Execute),
        ("READ", Effect::Execute),
    ];
    for (class, expected) in rows {
        assert_eq!(tool(&line("x", class, json!({}), &[])).unwrap().effect, expected, "{class}");
    }
}

#[test]
fn names_say_what_a_sink_is() {
    use SinkKind::{Account, Address, Id, Other, Path, Url};
    let rows = [
        ("recipients", Some(Address)),
        ("cc", Some(Address)),
        ("newGuestEmail", Some(Address)),
        ("to_account_number", Some(Account)),
        ("payment_method_id", Some(Account)),
        ("iban", Some(Account)),
        ("order_id", Some(Id)),
        ("file_ids", Some(Id)),
        ("username", Some(Id)),
        ("file_path", Some(Path)),
        ("destination_folder", Some(Path)),
        ("webhook_url", Some(Url)),
        ("domains", Some(Url)),
        ("total_amount", Some(Other)),
        ("channel_name", Some(Address)),
        ("file_name", Some(Path)),
        ("policy_name", None),
        ("name", None),
        ("body", None),
        ("email_subject", None),
        ("start_time", None),
        ("max_results", None),
        ("permission", None),
        ("address1", None),
    ];
    for (name, expected) in rows {
        let found = sinks_of("change_thing", "write", json!({ name: { "type": "string" } }), &[name]);
        assert_eq!(found.first().map(|(_, kind)| *kind), expected, "{name}");
    }
}

#[test]
fn an_amount_is_a_number_by_its_schema() {
    use SinkKind::{Amount, Other};
    let rows = [
        (json!({ "type": "number" }), Some(Amount)),
        (json!({ "type": "integer" }), Some(Amount)),
        (json!({ "type": ["number", "null"] }), Some(Amount)),
        (json!({ "anyOf": [{ "type": "string" }, { "type": "number" }] }), Some(Amount)),
        (json!({ "type": "array", "items": { "type": "number" } }), Some(Amount)),
        (json!({ "type": "string" }), Some(Other)),
        (json!({ "description": "How much" }), Some(Other)),
        (json!({ "type": "boolean" }), None),
    ];
    for (schema, expected) in rows {
        for class in ["spend_money", "move_data", "write"] {
            let found = sinks_of("book_table", class, json!({ "budget": schema }), &[]);
            assert_eq!(found.first().map(|(_, kind)| *kind), expected, "{class}: {schema}");
        }
        assert_eq!(sinks_of("get_table", "read", json!({ "budget": schema }), &["budget"]), [], "a read pays nothing");
    }
}

#[test]
fn what_is_written_on_a_payment_is_no_object_and_to_whom_something_is_given_is_a_sink() {
    let text = json!({"type": "string"});
    let both = json!({"iban": text, "reference": text});
    let names = |class: &str, parameters: &serde_json::Value, required: &[&str]| -> Vec<String> {
        sinks_of("do_it", class, parameters.clone(), required).into_iter().map(|(name, _)| name).collect()
    };
    assert_eq!(names("spend_money", &both, &["iban", "reference"]), ["iban"]);
    assert_eq!(names("write", &both, &["iban", "reference"]), ["iban", "reference"]);
    assert_eq!(names("spend_money", &json!({"reference": text}), &["reference"]), ["reference"], "what is paid");
    let booked = json!({"iban": text, "booking_reference": text});
    assert_eq!(names("spend_money", &booked, &[]), ["booking_reference", "iban"]);
    let given = json!({"assignee": text, "target": text, "target_language": text});
    assert_eq!(names("write", &given, &[]), ["assignee", "target"]);
}

#[test]
fn shape_and_effect_decide_with_the_name() {
    let text = json!({"type": "string"});
    let rows = [
        (
            "an enumeration",
            "move_data",
            json!({"recipient": {"type": "string", "enum": ["a"]}}),
            &["recipient"][..],
            None,
        ),
        ("a truth value", "move_data", json!({"recipient": {"type": "boolean"}}), &["recipient"], None),
        ("what must be given and is no content", "spend_money", json!({"shop": text}), &["shop"], Some("shop")),
        ("the same, not required", "spend_money", json!({"shop": text}), &[], None),
        ("the same, of a tool that writes", "write", json!({"shop": text}), &["shop"], None),
        ("content", "spend_money", json!({"message": text}), &["message"], None),
        ("nothing is said of it", "admin", json!({"device": {"description": "Which"}}), &["device"], Some("device")),
        ("an address of a read", "read", json!({"email": text}), &["email"], None),
        ("an id of a read", "read", json!({"order_id": text}), &["order_id"], Some("order_id")),
        ("a URL of a read", "read", json!({"url": text}), &["url"], Some("url")),
        ("an array", "move_data", json!({"to": {"type": "array", "items": text}}), &["to"], Some("to")),
        ("one of two", "move_data", json!({"to": {"anyOf": [text, {"type": "null"}]}}), &[], Some("to")),
        (
            "inside an object",
            "write",
            json!({"by": {"type": "object", "properties": {"user_id": text}}}),
            &[],
            Some("by.user_id"),
        ),
        (
            "inside an array",
            "write",
            json!({"by": {"type": "array", "items": {"properties": {"id": text}}}}),
            &[],
            Some("by.id"),
        ),
        (
            "named in the description",
            "move_data",
            json!({"parts": {"description": "Each with a \"file_id\".", "type": "array", "items": {"type": "object"}}}),
            &[],
            Some("parts.file_id"),
        ),
        ("a whole schema", "write", json!({"type": "object", "properties": {"user_id": text}}), &[], Some("user_id")),
        ("no schema at all", "write", json!(null), &[], None),
        ("a name that is no path", "write", json!({"a..id": text, " id": text}), &[], None),
    ];
    for (name, class, parameters, required, expected) in rows {
        let found = sinks_of("handle_thing", class, parameters, required);
        assert_eq!(found.first().map(|(n, _)| n.as_str()), expected, "{name}: {found:?}");
    }
    let searched = sinks_of("search_orders", "read", json!({"order_id": text}), &["order_id"]);
    assert_eq!(searched, [], "what a search looks for is no object");
}

#[test]
fn what_outsiders_write_is_known_by_what_is_read() {
    let rows = [
        ("read_inbox", "read", "paths"),
        ("list_calendar_events", "read", "paths"),
        ("get_reviews", "read", "all but ids"),
        ("search_tickets", "read", "all but ids"),
        ("get_article", "read", "all"),
        ("browse", "read", "all"),
        ("get_order", "read", "paths"),
        ("find_customer_id_by_email", "read", "none"),
        ("list_message_ids", "read", "none"),
        ("get_lead_by_id", "read", "paths"),
        ("frobnicate", "unknown", "all"),
        ("send_email", "move_data", "none"),
        // Names that the service itself lists.
        ("list_channels", "read", "none"),
        ("get_users_in_channel", "read", "none"),
        ("chat.rooms.list", "read", "all but ids"),
        ("list_channel_messages", "read", "all but ids"),
        ("list_messages_in_channel", "read", "all but ids"),
        ("get_channel", "read", "all but ids"),
        ("list_chat_histories", "read", "all but ids"),
        ("list_posts", "read", "all but ids"),
        ("search_channels", "read", "all but ids"),
        ("list_users", "read", "paths, not bare"),
        ("list_hosts", "read", "paths, not bare"),
        ("get_versions", "read", "paths, not bare"),
        ("list_staff", "read", "paths, not bare"),
        ("get_version", "read", "paths"),
        ("get_hosts_of_user", "read", "paths, not bare"),
        ("search_hosts", "read", "paths"),
        ("list_messages", "read", "paths"),
        ("list_subscribers", "read", "paths"),
        ("get_form_responses", "read", "paths"),
        ("list_notes_of_host", "read", "paths"),
        ("list_payments", "read", "paths"),
        // What is transformed is what the agent gave.
        ("decode_text", "read", "all"),
        ("pdf_extract", "read", "all"),
        ("translate", "read", "all"),
        ("get_order_format", "read", "paths"),
    ];
    for (name, class, expected) in rows {
        let found = match tool(&line(name, class, json!({}), &[])).unwrap().outsider_fields {
            OutsiderFields::None => "none",
            OutsiderFields::All => "all",
            fields if fields.covers("text") && fields.covers("anything") => {
                assert!(fields.covers("") && !fields.covers("of.it.id") && fields.covers("author_id"), "{name}");
                "all but ids"
            }
            fields if fields.covers("") => "paths",
            OutsiderFields::Paths(_) => "paths, not bare",
        };
        assert_eq!(found, expected, "{name}");
    }
    let rows = [
        ("get_lead", "lead.email", true),
        ("get_lead", "lead.notes", true),
        ("get_lead", "lead.lead_id", false),
        ("search_contacts", "contacts.email", false),
        ("list_calendar_events", "events.organizer", true),
        ("list_calendar_events", "events.id", false),
        ("search_tickets", "tickets.ticket_id", false),
        ("search_tickets", "tickets.requester_id", true),
        ("get_comments_of_post", "comments.comment_id", false),
        ("get_comments_of_post", "comments.post_id", true),
        ("get_email_thread", "messages.message_id", true),
        ("list_transactions", "transactions.sender", true),
        ("list_transactions", "transactions.amount", false),
    ];
    for (name, field, expected) in rows {
        let found = tool(&line(name, "read", json!({}), &[])).unwrap().outsider_fields.covers(field);
        assert_eq!(found, expected, "{name}: {field}");
    }
    let by_url = tool(&line("get_text", "read", json!({"url": {"type": "string"}}), &[])).unwrap();
    assert_eq!(by_url.outsider_fields, OutsiderFields::All);
}

#[test]
fn sensitive_classes_are_known_by_names() {
    let rows = [
        ("list_bank_accounts", vec!["financial"]),
        ("get_patient_record", vec!["health"]),
        ("read_password", vec!["credentials"]),
        ("get_user_details", vec!["pii"]),
        ("get_product_details", vec![]),
        ("view_access_history", vec!["activity"]),
    ];
    for (name, expected) in rows {
        let found = tool(&line(name, "read", json!({}), &[])).unwrap().sensitive;
        let found: Vec<&str> = found.iter().map(|c| c.as_str()).collect();
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn what_is_inferred_can_be_written_and_read_again() {
    let tools = vec![
        tool(&line("send_letter", "move_data", json!({"to": {"type": "string"}, "a.b": {"type": "string"}}), &["to"]))
            .unwrap(),
        tool(&line("odd/name", "unknown", json!({}), &[])).unwrap(),
        tool(&line("read_inbox", "read", json!({}), &[])).unwrap(),
        tool(&line("get_reviews", "read", json!({}), &[])).unwrap(),
        tool(&line("list_bank_accounts", "read", json!({}), &[])).unwrap(),
    ];
    let catalogue = Catalogue::from_tools(tools).unwrap();
    let again = Catalogue::parse(&text::catalogue_toml(&catalogue).unwrap()).unwrap();
    assert!(again.tools().eq(catalogue.tools()));
}

#[test]
fn names_that_are_none_are_told() {
    assert!(tool(&line(" ", "read", json!({}), &[])).is_err());
    let mut folder = Folder { tools: vec![line("a", "read", json!({}), &[])], ..Folder::default() };
    assert_eq!(catalogues(&folder).unwrap().len(), 1);
    folder.tools.push(line("a", "write", json!({}), &[]));
    assert!(matches!(catalogues(&folder), Err(EvalError::Catalogue { .. })), "a tool that stands twice");
}
